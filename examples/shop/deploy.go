package shop

import (
	"embed"
	"fmt"
	"io/fs"
)

// Services are the shop's services, in the order in which they need each
// other: none needs a later one.
func Services() []string { return []string{"payments", "catalog", "cart", "web"} }

//go:embed deploy
var deploy embed.FS

// Deploy is the folder deploy/: what a repository of the shop's manifests has
// at its top.
func Deploy() (fs.FS, error) {
	dir, err := fs.Sub(deploy, "deploy")
	if err != nil {
		return nil, fmt.Errorf("open the shop's manifests: %w", err)
	}
	return dir, nil
}
