package deploy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// published serves a package of plain manifests on a web server, in any version.
func published(t *testing.T, namespace string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), ".yaml")
		_, _ = fmt.Fprintf(w, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: boats, namespace: %[1]s}\ndata: {version: %[2]q}\n---\n"+
			"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: boats, namespace: %[1]s}\n", namespace, version)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/{version}.yaml"
}

// aggregate does what kube-controller-manager does in a real cluster: it brings what roles with the label allow into the agent's.
func aggregate(t *testing.T, c client.Client) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var roles rbacv1.ClusterRoleList
	if err := c.List(ctx, &roles, client.MatchingLabels{"slipway.dev/aggregate-to-modules": "true"}); err != nil {
		t.Fatal(err)
	}
	all := &rbacv1.ClusterRole{}
	if err := c.Get(ctx, client.ObjectKey{Name: Agent + "-modules"}, all); err != nil {
		t.Fatal(err)
	}
	all.Rules = nil
	for _, r := range roles.Items {
		all.Rules = append(all.Rules, r.Rules...)
	}
	if err := c.Update(ctx, all); err != nil {
		t.Fatal(err)
	}
}

// TestRolesAreEnoughForModules runs the real agent with a token of its service account and the installed roles. Without a grant it can install
// nothing, and says what is missing; with the component it installs a module, upgrades it when a person approves, puts back what is changed, and
// removes it.
func TestRolesAreEnoughForModules(t *testing.T) {
	env := labtest.ControlPlane(t)
	c := clientOfOurKinds(t, env)
	applyRoles(t, env, c)
	aggregate(t, c)
	complaints := runAgent(t, tokenOf(t, env, Agent))

	grant := &v1alpha1.ModuleGrant{ObjectMeta: metav1.ObjectMeta{Name: "boats"}, Spec: v1alpha1.ModuleGrantSpec{
		Modules: []string{"boats"}, Namespaces: []string{env.Namespace},
	}}
	if err := c.Create(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
	m := &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: "boats"}, Spec: v1alpha1.ModuleSpec{
		Source:  v1alpha1.PackageSource{Manifests: &v1alpha1.ManifestsSource{URL: published(t, env.Namespace)}},
		Version: "1.0.0", Namespace: env.Namespace, Gate: &v1alpha1.Gate{Soak: &metav1.Duration{Duration: time.Second}},
		Interval: &metav1.Duration{Duration: 10 * time.Second}, GrantRef: &v1alpha1.GrantReference{Name: grant.Name},
	}}
	if err := c.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	moduleIs(t, c, "it says which rights the agent lacks", m, func() bool {
		return m.Status.Phase == v1alpha1.PhaseBlocked && strings.Contains(said(m), "create") && strings.Contains(said(m), "configmaps")
	})

	for _, obj := range render(t, Options{Overlay: "dev", Components: []string{AnyModule}}) {
		if obj.GetName() == AnyModuleRole {
			if err := c.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
		}
	}
	aggregate(t, c)
	env.AwaitRights(t, agentUser(), authorizationv1.ResourceAttributes{Namespace: env.Namespace, Resource: "configmaps", Verb: "create"})
	refused := len(complaints())
	moduleIs(t, c, "it is installed once the agent may", m, func() bool { return m.Status.Phase == v1alpha1.PhaseInstalled && m.Status.Current.Version == "1.0.0" })
	boats := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "boats"}}
	versionIs := func(want string) {
		t.Helper()
		poll(t, "the package is there in version "+want, func(ctx context.Context) (bool, string) {
			err := c.Get(ctx, client.ObjectKeyFromObject(boats), boats)
			return err == nil && boats.Data["version"] == want, fmt.Sprint(boats.Data, err)
		})
	}
	versionIs("1.0.0")

	merge(t, c, m, `{"spec":{"version":"2.0.0"}}`)
	moduleIs(t, c, "an upgrade that nobody declares reversible waits for a person", m, func() bool {
		return m.Status.Phase == v1alpha1.PhasePlanned && strings.Contains(said(m), "slipway.dev/approve="+string(m.Status.Target.Digest))
	})
	merge(t, c, m, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ApproveAnnotation, m.Status.Target.Digest))
	moduleIs(t, c, "it is upgraded", m, func() bool { return m.Status.Phase == v1alpha1.PhaseInstalled && m.Status.Current.Version == "2.0.0" })
	versionIs("2.0.0")
	merge(t, c, boats, `{"data":{"version":"by hand"}}`)
	versionIs("2.0.0")

	if err := c.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	poll(t, "the module is gone with what it brought", func(ctx context.Context) (bool, string) {
		gone := apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(m), m)) && apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(boats), boats))
		return gone, said(m)
	})
	if more := complaints()[refused:]; len(more) > 0 {
		t.Errorf("the agent lacks permissions:\n%s", strings.Join(more, "\n"))
	}
}

// said is what the module says of itself.
func said(m *v1alpha1.Module) string {
	text := string(m.Status.Phase)
	for _, kind := range []string{v1alpha1.ReadyCondition, v1alpha1.StalledCondition} {
		if c := apimeta.FindStatusCondition(m.Status.Conditions, kind); c != nil {
			text += "; " + c.Reason + ": " + c.Message
		}
	}
	return text
}

func moduleIs(t *testing.T, c client.Client, what string, m *v1alpha1.Module, is func() bool) {
	t.Helper()
	poll(t, what, func(ctx context.Context) (bool, string) {
		err := c.Get(ctx, client.ObjectKeyFromObject(m), m)
		return err == nil && m.Status.ObservedGeneration == m.Generation && is(), said(m)
	})
}

func merge(t *testing.T, c client.Client, obj client.Object, patch string) {
	t.Helper()
	if err := c.Patch(t.Context(), obj, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
}
