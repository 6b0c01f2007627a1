package plan

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

// comesWithIt is how apply says that an object could not be tried, because its namespace isn't there yet.
const comesWithIt = "its namespace is created by the same set"

// elsewhere tries objects whose namespace isn't there yet in the agent's own, under names that nothing has there. What another namespace would
// allow, or forbid, says nothing; but an object that isn't valid is so everywhere, and first installations are where most of them are.
func (d *draft) elsewhere(ctx context.Context) error {
	var tries []*unstructured.Unstructured
	meant := map[string]kube.Ref{}
	for i, c := range d.next {
		if c.Action != apply.Created || c.Note != comesWithIt || c.Next == nil {
			continue
		}
		try := c.Next.DeepCopy()
		name := fmt.Sprintf("slipway-try-%s-%d", d.module.Name, i)
		meant[name] = c.Ref
		try.SetName(name)
		try.SetNamespace(d.Agent.Namespace)
		tries = append(tries, try)
	}
	if len(tries) == 0 || d.Agent.Namespace == "" {
		return nil
	}
	_, err := d.engine.Plan(ctx, tries, d.options())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, e := range apply.Errors(err) {
		ref, ok := meant[e.Ref.Name]
		if !ok || e.Reason != apply.ReasonInvalid || strings.Contains(e.Message, "metadata.name") {
			continue
		}
		d.problem(CheckDryRun, ref.Subject(), "%s", strings.ReplaceAll(strings.ReplaceAll(e.Message, e.Ref.Name, ref.Name), "namespace "+d.Agent.Namespace, "namespace "+ref.Namespace))
	}
	return nil
}
