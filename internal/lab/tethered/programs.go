package tethered

import (
	"context"
	"os"
	"path/filepath"

	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/program"
)

// Programs are the executables of planes.
type Programs struct {
	assets     string // folder of KUBEBUILDER_ASSETS; has etcd and kube-apiserver
	kubernetes string
}

// FindPrograms takes etcd and kube-apiserver from KUBEBUILDER_ASSETS where that is set. All else is the lab's own, built if it has not been.
func FindPrograms(ctx context.Context) (*Programs, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		return &Programs{assets: assets}, nil
	}
	p := &Programs{}
	return p, p.WithControllers(ctx)
}

// WithControllers makes sure of the controller manager and the scheduler, which KUBEBUILDER_ASSETS lacks.
func (p *Programs) WithControllers(ctx context.Context) error {
	if p.kubernetes != "" {
		return nil
	}
	cache, err := program.NewCache()
	if err != nil {
		return err
	}
	p.kubernetes, err = cache.Get(ctx, program.Kubernetes())
	return err
}

// Find returns the executable of a component and the arguments that come before its own.
func (p *Programs) Find(component string) (string, []string) {
	if p.assets != "" && (component == control.Etcd || component == control.APIServer) {
		return filepath.Join(p.assets, component), nil
	}
	return p.kubernetes, []string{component}
}
