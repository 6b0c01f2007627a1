package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// restoreNested puts back the folders of a module that are modules of their own: its archive lacks them, and its go.mod refers to them
// by their path.
func (p program) restoreNested(ctx context.Context, source string) error {
	for folder, module := range p.nested {
		from, err := download(ctx, module)
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(source, folder), os.DirFS(from)); err != nil {
			return fmt.Errorf("copy the module %s: %w", module, err)
		}
	}
	return nil
}
