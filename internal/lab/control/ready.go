package control

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/lab/process"
)

// Ready returns nil when the component answers. Of those that listen nowhere it says that their process runs, which its caller
// knows.
func (p *Plane) Ready(ctx context.Context, component string) error {
	switch component {
	case Etcd:
		return process.Dial(ctx, filepath.Join(p.Dir, "etcd.sock:0"))
	case APIServer:
		return p.readyz(ctx)
	}
	return nil
}

func (p *Plane) readyz(ctx context.Context) error {
	config, err := p.Config()
	if err != nil {
		return err
	}
	config.Timeout = 5 * time.Second
	config.GroupVersion = nil
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer client.CloseIdleConnections()
	return get(ctx, client, p.URL()+"/readyz")
}
