package agent

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/internal/delivery/aside"
	"github.com/slipway-dev/slipway/internal/module/builtin"
)

// unversioned is the version of a build that has none.
const unversioned = "devel"

// delivering says whether delivery is served: its kinds are known, and no controller of Flux's does the same work.
func delivering(kinds *kinds, gate *aside.Gate) builtin.Capability {
	return func(context.Context) (string, error) {
		var problems []string
		if why := gate.Why(); why != "" {
			problems = append(problems, "the agent stands aside: "+why)
		}
		if lacking := kinds.lacks(sourcev1.GroupVersion.Group, kustomizev1.GroupVersion.Group); len(lacking) > 0 {
			problems = append(problems, fmt.Sprintf("the cluster doesn't know %s: install the definitions with `slipway install`", strings.Join(lacking, ", ")))
		}
		return strings.Join(problems, "; "), nil
	}
}

// beginBuiltin sets up what states how the parts of Slipway are.
func (m *modules) beginBuiltin(mgr manager.Manager, all cache.Cache, direct client.Client, changed func()) error {
	parts := m.builtin
	parts.Modules, parts.Direct, parts.Events, parts.Changed, parts.Version = all, direct, m.events, changed, cmp.Or(m.opts.Version, unversioned)
	return builtin.New(parts).SetUp(mgr, all)
}
