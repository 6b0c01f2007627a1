package agent

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
)

func gitOptions(opts Options) []source.GitOption {
	if opts.AllowFile {
		return []source.GitOption{source.AllowFile()}
	}
	return nil
}

// layersWith makes what makes what applies to a cluster, with objects judged by what the registry has; of them may be remembered what the
// allowance allows; nil: everything.
func layersWith(registry *interpret.Registry) func(*kube.Clients, *kube.Allowance) (*apply.Engine, *observe.Pool) {
	return func(clients *kube.Clients, allowance *kube.Allowance) (*apply.Engine, *observe.Pool) {
		pool := observe.New(clients, observe.Options{Manager: fieldManager, Assess: assess(registry), NeedsBody: registry.NeedsBody, Rules: rules(registry), Allowance: allowance})
		return apply.New(clients, pool, apply.Settings{}), pool
	}
}

// rules tells the pool, which knows no package beside it, of interpreters that come, change and go.
func rules(registry *interpret.Registry) func(func(func(schema.GroupVersionKind) bool)) (stop func()) {
	return func(changed func(func(schema.GroupVersionKind) bool)) (stop func()) {
		return registry.Watch(func(ofKind interpret.Changed) { changed(ofKind) })
	}
}

// assess judges an object for the pool, which knows no package beside it.
func assess(registry *interpret.Registry) func(*unstructured.Unstructured) observe.Verdict {
	return func(obj *unstructured.Unstructured) observe.Verdict {
		v := registry.Assess(obj)
		return observe.Verdict{State: string(v.State), Reason: v.Reason, Message: v.Message}
	}
}
