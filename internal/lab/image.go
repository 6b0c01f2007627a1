package lab

import (
	"context"
	"fmt"
	"os"

	"github.com/slipway-dev/slipway/internal/image"
	"github.com/slipway-dev/slipway/internal/lab/node"
	"github.com/slipway-dev/slipway/internal/lab/program"
)

// pushPause puts the pause image into the lab's registry, unless it is there.
func (l *Lab) pushPause(ctx context.Context) error {
	tag, err := image.ParseTag(node.PauseImage)
	if err != nil {
		return fmt.Errorf("name of the pause image: %w", err)
	}
	if l.record.Complete {
		return nil // it is in the registry's folder since the lab was made
	}
	cache, err := program.NewCache()
	if err != nil {
		return err
	}
	binary, err := cache.Get(ctx, program.Pause())
	if err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("pause image: %w", err)
	}
	img, err := image.Build(image.Spec{Binary: binary})
	if err != nil {
		return fmt.Errorf("build pause image: %w", err)
	}
	if _, err := image.Push(ctx, l.Registry(), tag, img); err != nil {
		return fmt.Errorf("push pause image: %w", err)
	}
	return nil
}
