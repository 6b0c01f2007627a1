// Package configfile writes files that running components may be watching.
package configfile

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
)

// Write brings the file at path to the given content in one step. A file that has it already isn't touched: kube-proxy, for one,
// ends when its configuration is written, to be restarted with the new one.
func Write(path string, content []byte, mode fs.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
