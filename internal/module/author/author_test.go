package author_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/author"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// world is a cluster in which the policy is in force.
type world struct {
	*testing.T
	env   *labtest.Env
	admin client.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, env: labtest.ControlPlane(t)}
	w.env.Define(t, "slipway.dev_modules.yaml", "slipway.dev_modulegrants.yaml")
	w.admin = w.as(w.env.Config)
	w.install()
	return w
}

func (w *world) as(config *rest.Config) client.Client {
	w.Helper()
	return labtest.Client(w, config, v1alpha1.AddToScheme)
}

// install puts the policy into the cluster, takes it away at the end, and waits until the API server obeys it.
func (w *world) install() {
	w.Helper()
	policy, binding, err := author.Policy()
	if err != nil {
		w.Fatal(err)
	}
	nobody := w.user("nobody-at-all")
	obeyed := func(ctx context.Context) bool {
		err := nobody.Create(ctx, module("probe", "nobodys"), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "nobodys")
	}
	w.Cleanup(func() { // else the next test takes the API server's memory of this policy for its own
		err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) { return !obeyed(ctx), nil })
		if err != nil {
			w.Errorf("the policy is still in force: %v", err)
		}
	})
	for _, o := range []client.Object{policy, binding} {
		if err := w.admin.Create(w.Context(), o); err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() {
			if err := w.admin.Delete(context.Background(), o); client.IgnoreNotFound(err) != nil {
				w.Error(err)
			}
		})
	}
	w.eventually("the policy is in force", func() bool { return obeyed(w.Context()) })
}

// patience is for what takes a moment, on a machine that has other things to do.
const patience = 90 * time.Second

func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) { return ok(), nil })
	if err != nil {
		w.Fatalf("never came true: %s", what)
	}
}

// user may write Modules, and use the grants that are named.
func (w *world) user(name string, grants ...string) client.Client {
	w.Helper()
	rules := []rbacv1.PolicyRule{{APIGroups: []string{"slipway.dev"}, Resources: []string{"modules"}, Verbs: []string{"*"}}}
	if len(grants) > 0 {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{"slipway.dev"}, Resources: []string{"modulegrants"}, ResourceNames: grants, Verbs: []string{"use"}})
	}
	name = w.env.Namespace + "-" + name
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: name}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := w.admin.Create(w.Context(), o); err != nil {
			w.Fatal(err)
		}
	}
	w.env.AwaitRights(w, name, authorizationv1.ResourceAttributes{Group: "slipway.dev", Resource: "modules", Verb: "create"})
	for _, grant := range grants {
		w.env.AwaitRights(w, name, authorizationv1.ResourceAttributes{Group: "slipway.dev", Resource: "modulegrants", Name: grant, Verb: "use"})
	}
	return w.as(w.env.User(name))
}

func module(name, grant string) *v1alpha1.Module {
	m := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://registry.example.com/runner"}}},
	}
	if grant != "" {
		m.Spec.GrantRef = &v1alpha1.GrantReference{Name: grant}
	}
	return m
}

func (w *world) create(c client.Client, m *v1alpha1.Module) error {
	w.Helper()
	err := c.Create(w.Context(), m)
	if err == nil {
		w.Cleanup(func() { _ = w.admin.Delete(context.Background(), m) })
	}
	return err
}

// TestNobodyUsesAGrantThatTheyMayNot is what somebody tries who may write Modules, and use the grant small.
func TestNobodyUsesAGrantThatTheyMayNot(t *testing.T) {
	w := newWorld(t)
	few := w.user("few", "small")
	owner := w.user("owner", "small", "large")
	refused := func(what string, err error) {
		t.Helper()
		if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) || err != nil && !strings.Contains(err.Error(), "ModuleGrant large") {
			t.Errorf("%s: %v, want a refusal that names the grant", what, err)
		}
	}
	refused("to create a Module with the grant", w.create(few, module("m1", "large")))
	mine := module("m2", "small")
	if err := w.create(few, mine); err != nil {
		t.Fatalf("to create one with their own grant: %v", err)
	}
	mine.Spec.GrantRef.Name = "large"
	refused("to change the grant later", few.Update(t.Context(), mine))

	theirs := module("m3", "large")
	if err := w.create(owner, theirs); err != nil {
		t.Fatal(err)
	}
	evil := theirs.DeepCopy()
	evil.Spec.Source.OCI.URL = "oci://evil.example.com/runner"
	refused("to put another package into somebody's Module", few.Update(t.Context(), evil))
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"values":{"image":"evil"}}}`))
	refused("to change its values by a patch", few.Patch(t.Context(), theirs.DeepCopy(), patch))
	note := func(key, value string) client.Patch {
		return client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%s}}}`, key, value))
	}
	for _, key := range []string{v1alpha1.ApproveAnnotation, v1alpha1.RetryAnnotation, v1alpha1.RollbackAnnotation, v1alpha1.ForceAnnotation} {
		refused("to answer it with "+key, few.Patch(t.Context(), theirs.DeepCopy(), note(key, `"sha256:1"`)))
		if err := owner.Patch(t.Context(), theirs.DeepCopy(), note(key, `"sha256:1"`)); err != nil {
			t.Errorf("who may use the grant may answer with %s: %v", key, err)
		}
		refused("to answer it otherwise with "+key, few.Patch(t.Context(), theirs.DeepCopy(), note(key, `"sha256:2"`)))
		if err := few.Patch(t.Context(), theirs.DeepCopy(), note("example.com/note", `"x"`)); err != nil {
			t.Errorf("an answer that was there before is asked about again: %v", err)
		}
		if err := few.Patch(t.Context(), theirs.DeepCopy(), note(key, "null")); err != nil {
			t.Errorf("an answer may be taken away, as the agent does: %v", err)
		}
	}
	refused("to do it by an apply in somebody else's name", few.Patch(t.Context(), theirs.DeepCopy(), client.RawPatch("application/apply-patch+yaml",
		[]byte(`{"apiVersion":"slipway.dev/v1alpha1","kind":"Module","metadata":{"name":"m3"},"spec":{"paused":true}}`)), client.FieldOwner("slipway-agent"), client.ForceOwnership))
	if err := few.Patch(t.Context(), theirs.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"team":"a"}}}`))); err != nil {
		t.Errorf("what isn't about the grant may be written by who may write the Module: %v", err)
	}
	without := theirs.DeepCopy()
	if err := few.Get(t.Context(), client.ObjectKeyFromObject(theirs), without); err != nil {
		t.Fatal(err)
	}
	without.Spec.GrantRef = nil
	refused("to take somebody's Module its grant, and answer it then", few.Update(t.Context(), without))
	without.Spec.GrantRef = &v1alpha1.GrantReference{Name: "small"}
	refused("to have somebody's Module use their own grant", few.Update(t.Context(), without))
	without.Spec.GrantRef = nil
	if err := owner.Update(t.Context(), without); err != nil {
		t.Errorf("who may use the grant may do without it: %v", err)
	}
	without.Spec.Paused = true
	if err := few.Update(t.Context(), without); err != nil {
		t.Errorf("without a grant it takes no right: %v", err)
	}
}

// TestNobodyHasTheAgentReplacedWhoMayNot: the Module of the agent does what an AgentUpgrade does.
func TestNobodyHasTheAgentReplacedWhoMayNot(t *testing.T) {
	w := newWorld(t)
	few := w.user("few")
	of := func(name string) *v1alpha1.Module {
		m := module(name, "")
		m.Spec.Source = v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: name}}
		return m
	}
	refused := func(what string, err error) {
		t.Helper()
		if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) || err != nil && !strings.Contains(err.Error(), "verb create on AgentUpgrades") {
			t.Errorf("%s: %v, want a refusal that says which right is missing", what, err)
		}
	}
	refused("to create it", w.create(few, of(v1alpha1.BuiltinAgent)))
	m := of(v1alpha1.BuiltinAgent)
	if err := w.create(w.admin, m); err != nil {
		t.Fatalf("who may do everything: %v", err)
	}
	m.Spec.Version = "0.1.0"
	refused("to want another version", few.Update(t.Context(), m.DeepCopy()))
	m.Spec.Version = ""
	m.Annotations = map[string]string{v1alpha1.RetryAnnotation: "sha256:1"}
	refused("to have what failed tried again", few.Update(t.Context(), m.DeepCopy()))
	if err := w.create(few, of(v1alpha1.BuiltinDelivery)); err != nil {
		t.Errorf("what only tells how delivery is: %v", err)
	}
}

// TestProblem asks what the plan asks.
func TestProblem(t *testing.T) {
	w := newWorld(t)
	grant := &v1alpha1.ModuleGrant{ObjectMeta: metav1.ObjectMeta{Name: "large"}}
	named := grant.DeepCopy()
	named.Spec.Modules = []string{"m"}
	others := grant.DeepCopy()
	others.Spec.Modules = []string{"other"}
	young := module("m", "large")
	young.UID, young.CreationTimestamp = "u", metav1.NewTime(time.Now().Add(time.Hour))
	old := young.DeepCopy()
	old.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Hour))
	rushed := young.DeepCopy() // in the moment in which maybe not every API server obeyed
	asks := &admissionv1.ValidatingAdmissionPolicyBinding{}
	if err := w.admin.Get(t.Context(), client.ObjectKey{Name: author.Name}, asks); err != nil {
		t.Fatal(err)
	}
	rushed.CreationTimestamp = metav1.NewTime(asks.CreationTimestamp.Add(author.Settled / 2))
	file := module("m", "large")
	ask := func(c client.Client, m *v1alpha1.Module, g *v1alpha1.ModuleGrant) string {
		t.Helper()
		problem, err := author.Problem(t.Context(), author.Clients{Reader: w.admin, Writer: c}, m, g)
		if err != nil {
			t.Fatal(err)
		}
		return problem
	}
	cases := map[string]struct {
		reason string
		module *v1alpha1.Module
		grant  *v1alpha1.ModuleGrant
		as     client.Client
		change func(*admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding)
		want   string
	}{
		"Written":       {reason: "the API server has asked", module: young, grant: grant},
		"OtherModule":   {reason: "the grant is for others", module: young, grant: others, want: "is not for this Module"},
		"WrittenBefore": {reason: "nobody has asked then", module: old, grant: grant, want: "was written before"},
		"WrittenAtOnce": {reason: "not every API server may have known", module: rushed, grant: grant, want: "was written before"},
		"VouchedFor":    {reason: "the owner of the grant has named it", module: old, grant: named},
		"File":          {reason: "a file is its reader's, who may", module: file, grant: grant, as: w.user("may", "large")},
		"FileOfNobody":  {reason: "a file is its reader's, who may not", module: file, grant: grant, as: w.user("maynot", "small"), want: "you may not use ModuleGrant large"},
		"PolicyWeakened": {
			reason: "a policy that lets pass what it can't evaluate", module: young, grant: grant, want: "isn't as this release of Slipway has it",
			change: func(p *admissionv1.ValidatingAdmissionPolicy, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
				p.Spec.FailurePolicy = new(admissionv1.Ignore)
			},
		},
		"PolicyEmptied": {
			reason: "a policy that asks nothing, also for a Module that the grant names", module: young, grant: named, want: "isn't as this release",
			change: func(p *admissionv1.ValidatingAdmissionPolicy, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
				p.Spec.Validations[0].Expression = "true"
			},
		},
		"BindingOnlyWarns": {
			reason: "a binding that only warns", module: young, grant: grant, want: "ValidatingAdmissionPolicyBinding slipway-module-authors isn't as",
			change: func(_ *admissionv1.ValidatingAdmissionPolicy, b *admissionv1.ValidatingAdmissionPolicyBinding) {
				b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
			},
		},
		"BindingForSome": {
			reason: "a binding that leaves something out", module: young, grant: grant, want: "ValidatingAdmissionPolicyBinding slipway-module-authors isn't as",
			change: func(_ *admissionv1.ValidatingAdmissionPolicy, b *admissionv1.ValidatingAdmissionPolicyBinding) {
				b.Spec.MatchResources = &admissionv1.MatchResources{ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.change != nil {
				policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
				for _, o := range []client.Object{policy, binding} {
					if err := w.admin.Get(t.Context(), client.ObjectKey{Name: author.Name}, o); err != nil {
						t.Fatal(err)
					}
				}
				c.change(policy, binding)
				for _, o := range []client.Object{policy, binding} {
					if err := w.admin.Update(t.Context(), o); err != nil {
						t.Fatal(err)
					}
				}
				t.Cleanup(func() {
					rightPolicy, rightBinding, err := author.Policy()
					if err != nil {
						t.Fatal(err)
					}
					policy.Spec, binding.Spec = rightPolicy.Spec, rightBinding.Spec
					for _, o := range []client.Object{policy, binding} {
						if err := w.admin.Update(context.Background(), o); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
			as := c.as
			if as == nil {
				as = w.admin
			}
			if got := ask(as, c.module, c.grant); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%s: %q, want %q", c.reason, got, c.want)
			}
		})
	}
	t.Run("Asked", func(t *testing.T) { testAsked(t, w, grant, young, old) })
	for _, o := range []client.Object{&admissionv1.ValidatingAdmissionPolicyBinding{}, &admissionv1.ValidatingAdmissionPolicy{}} {
		o.SetName(author.Name)
		if err := w.admin.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if got := ask(w.admin, young, named); !strings.Contains(got, "there is no") {
			t.Errorf("without %T: %q", o, got)
		}
	}
	if got := ask(w.admin, module("m", ""), nil); got != "" {
		t.Errorf("without a grant: %q", got)
	}
}

// testAsked: what only the author of a Module may know of is for Modules whose author the API server has asked.
func testAsked(t *testing.T, w *world, grant *v1alpha1.ModuleGrant, young, old *v1alpha1.Module) {
	t.Helper()
	if err := w.admin.Create(t.Context(), grant.DeepCopy()); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	of := func(m *v1alpha1.Module, change func(*v1alpha1.ModuleSpec)) *v1alpha1.Module {
		m = m.DeepCopy()
		change(&m.Spec)
		return m
	}
	part := func(s *v1alpha1.ModuleSpec) {
		s.GrantRef, s.Source = nil, v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: "agent"}}
	}
	for name, tc := range map[string]struct {
		reason string
		module *v1alpha1.Module
		want   string
	}{
		"Written":       {"it was asked", young, ""},
		"WrittenBefore": {"nobody was asked then", old, "was written before"},
		"WithoutGrant":  {"nobody is asked", of(young, func(s *v1alpha1.ModuleSpec) { s.GrantRef = nil }), "name a ModuleGrant"},
		"UnknownGrant":  {"there is nothing to ask about", of(young, func(s *v1alpha1.ModuleSpec) { s.GrantRef.Name = "nowhere" }), "doesn't exist"},
		"Part":          {"who writes the agent's Module is asked", of(young, part), ""},
		"PartBefore":    {"and wasn't then", of(old, part), "delete it and create it again"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := author.Asked(t.Context(), author.Clients{Reader: w.admin, Writer: w.admin}, tc.module)
			if err != nil || tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("%s: %q, %v, want %q", tc.reason, got, err, tc.want)
			}
		})
	}
}
