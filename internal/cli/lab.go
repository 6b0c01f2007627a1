package cli

import (
	"fmt"

	"github.com/slipway-dev/slipway/internal/lab"
)

// defaultLab is the lab that is meant where none is named.
const defaultLab = lab.DefaultName

// labKubeconfig returns the path of a lab's kubeconfig.
func labKubeconfig(name string) (string, error) {
	l, err := lab.Open(name)
	if err != nil {
		return "", err
	}
	return l.Kubeconfig(), nil
}

// labNames lists the labs of this machine, for completion.
func labNames() []string {
	names, err := lab.Names()
	if err != nil {
		return nil
	}
	return names
}

// labRegistry returns the address at which a lab takes images.
func labRegistry(name string) (string, error) {
	l, err := lab.Open(name)
	if err != nil {
		return "", err
	}
	address := l.Registry()
	if address == "" {
		return "", fmt.Errorf("lab %q has no registry: its nodes are %s and run no containers", l.Name(), l.Nodes())
	}
	return address, nil
}
