package probe_test

import (
	"slices"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/probe"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

const needed = "kustomizations.kustomize.toolkit.fluxcd.io"

func promise(t *testing.T) probe.Promise {
	t.Helper()
	p, err := probe.Carried(kustomizev1.GroupVersion.WithKind(kustomizev1.KustomizationKind))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Cluster) == 0 || len(p.Own) == 0 || len(p.Kinds) < 5 {
		t.Fatalf("it promises little: %+v", p)
	}
	return p
}

// grant gives a service account of the test's rules.
func grant(t *testing.T, env *labtest.Env, name string, cluster, own []rbacv1.PolicyRule) {
	t.Helper()
	c := env.Client(t)
	wide := env.Namespace + "-" + name
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: env.Namespace, Name: name}}
	for _, obj := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: name}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: wide}, Rules: cluster},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: wide}, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: wide}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: name}, Rules: own},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: name}, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}},
	} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	user := "system:serviceaccount:" + env.Namespace + ":" + name
	env.AwaitRights(t, user, asked(t, cluster, ""), asked(t, own, env.Namespace))
}

// asked is what may be done by the first rule about resources.
func asked(t *testing.T, rules []rbacv1.PolicyRule, namespace string) authorizationv1.ResourceAttributes {
	t.Helper()
	for _, r := range rules {
		if len(r.Resources) > 0 && len(r.ResourceNames) == 0 && !strings.Contains(r.Resources[0], "/") {
			return authorizationv1.ResourceAttributes{Namespace: namespace, Group: r.APIGroups[0], Resource: r.Resources[0], Verb: r.Verbs[0]}
		}
	}
	t.Fatal("no rule is about resources")
	return authorizationv1.ResourceAttributes{}
}

// passed says of each check whether it held.
func passed(r probe.Report) map[string]bool {
	all := map[string]bool{}
	for _, c := range r.Checks {
		all[c.Name] = c.Passed
	}
	return all
}

// The steps follow each other: definitions are the cluster's.
func TestRun(t *testing.T) {
	env := labtest.ControlPlane(t)
	all := promise(t)
	opts := probe.Options{Namespace: env.Namespace, Promise: all}
	grant(t, env, "agent", all.Cluster, all.Own)

	r := probe.Run(t.Context(), env.ServiceAccount("agent"), opts)
	if diff := cmp.Diff(map[string]bool{probe.Started: true, probe.Permissions: true, probe.Definitions: false}, passed(r)); diff != "" {
		t.Errorf("without the definitions (-want +got):\n%s\n%+v", diff, r)
	}
	if !strings.Contains(r.Failures(), needed) || !strings.Contains(r.Failures(), "apply the definitions of the new version first") {
		t.Errorf("it says %s", r.Failures())
	}
	env.Define(t, "kustomize.toolkit.fluxcd.io_kustomizations.yaml")
	if r := probe.Run(t.Context(), env.ServiceAccount("agent"), opts); !r.Passed() {
		t.Errorf("with all that it needs: %s", r.Failures())
	}

	// One verb less, and one resource less.
	short := promise(t)
	for i, rule := range short.Cluster {
		switch { // a rule may be about other resources too
		case slices.Contains(rule.Resources, "secrets"):
			short.Cluster[i].Verbs = []string{"list"}
		case slices.Contains(rule.Resources, "kustomizations"):
			short.Cluster[i].Resources = []string{"others"}
		}
	}
	grant(t, env, "short", short.Cluster, short.Own)
	r = probe.Run(t.Context(), env.ServiceAccount("short"), opts)
	if diff := cmp.Diff(map[string]bool{probe.Started: true, probe.Permissions: false, probe.Definitions: false}, passed(r)); diff != "" {
		t.Errorf("without rights (-want +got):\n%s\n%+v", diff, r)
	}
	for _, want := range []string{"may not get secrets", "may not get, list, patch, update, watch kustomizations.kustomize.toolkit.fluxcd.io", "can't be listed"} {
		if !strings.Contains(r.Failures(), want) {
			t.Errorf("it doesn't say %q: %s", want, r.Failures())
		}
	}
}

func TestReportFitsIntoATerminationMessage(t *testing.T) {
	long := strings.Repeat("\"é<&", 2000)
	var r probe.Report
	for range 5 {
		r.Checks = append(r.Checks, v1alpha1.AgentCheck{Name: "Permissions", Message: long, At: metav1.Now()})
	}
	text, err := r.Encode()
	if err != nil || len(text) > 4096 {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	back, err := probe.Parse(string(text))
	if err != nil || len(back.Checks) != 5 || back.Passed() {
		t.Errorf("read again: %+v, %v", back, err)
	}
}

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, message string
		ok, passed      bool
	}{
		"Good":    {"a report", `{"checks":[{"name":"Started","passed":true,"at":null}]}`, true, true},
		"Newer":   {"one of a newer version has more in it", `{"version":2,"checks":[{"name":"Started","passed":true,"at":null,"took":3}]}`, true, true},
		"Failed":  {"one check failed", `{"checks":[{"name":"A","passed":true,"at":null},{"name":"B","passed":false,"at":null}]}`, true, false},
		"Nothing": {"nothing was tried", `{"checks":[]}`, false, false},
		"Log":     {"the end of a log", `panic: no`, false, false},
		"Empty":   {"no message", ``, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := probe.Parse(tc.message)
			if (err == nil) != tc.ok || err == nil && r.Passed() != tc.passed {
				t.Errorf("%s: got %+v, %v", tc.reason, r, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"checks":[{"name":"Started","passed":true,"at":null}]}`)
	f.Fuzz(func(t *testing.T, message string) {
		r, err := probe.Parse(message)
		if err != nil {
			return
		}
		if text, err := r.Encode(); err != nil || len(r.Checks) > 16 {
			t.Errorf("%d checks, %d bytes, %v", len(r.Checks), len(text), err)
		}
	})
}
