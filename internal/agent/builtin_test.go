package agent_test

import (
	"context"
	"strings"
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// TestDeliveryIsAModule: an agent says of the delivery in it whether all of its kinds are served.
func TestDeliveryIsAModule(t *testing.T) {
	env := labtest.ControlPlane(t)
	uninstall(t, env.Config, "source.toolkit.fluxcd.io_ocirepositories.yaml")
	install(t, env.Config, "source.toolkit.fluxcd.io_gitrepositories.yaml", "source.toolkit.fluxcd.io_buckets.yaml", "source.toolkit.fluxcd.io_externalartifacts.yaml",
		"kustomize.toolkit.fluxcd.io_kustomizations.yaml", "slipway.dev_modules.yaml", "slipway.dev_modulegrants.yaml", "slipway.dev_modulerevisions.yaml")
	running(t, env.Config, agent.Options{Version: "1.2.3", LeaseNamespace: env.Namespace})
	c := interpreterClient(t, env)
	m := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: "delivery"},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: v1alpha1.BuiltinDelivery}}},
	}
	if err := c.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), m) })
	ready := func() metav1.Condition {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil {
			t.Fatal(err)
		}
		if is := apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.ReadyCondition); is != nil {
			return *is
		}
		return metav1.Condition{}
	}
	await(t, func() bool { return strings.Contains(ready().Message, "doesn't know OCIRepository") }, func() string { return ready().Message })
	if m.Status.Phase != v1alpha1.PhaseInstalled || m.Status.Current == nil || m.Status.Current.Version != "1.2.3" || ready().Status != metav1.ConditionFalse {
		t.Errorf("%+v", m.Status)
	}
	install(t, env.Config, "source.toolkit.fluxcd.io_ocirepositories.yaml")
	await(t, func() bool { return ready().Status == metav1.ConditionTrue }, func() string { return ready().Message })
}
