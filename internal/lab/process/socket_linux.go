package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Dial returns nil when somebody listens on the unix socket at path, which may be longer than the 107 bytes that the kernel
// takes: it is reached through an open folder.
func Dial(ctx context.Context, path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path))
	conn, err := new(net.Dialer).DialContext(ctx, "unix", short)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return conn.Close()
}
