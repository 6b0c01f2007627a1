package plan_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// other makes another Module, installed in a version.
func (w *world) other(name, version string, dependsOn ...v1alpha1.ModuleDependency) *v1alpha1.Module {
	w.Helper()
	m := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ModuleSpec{
			Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://registry.example.com/" + name}}, DependsOn: dependsOn,
		},
	}
	if err := w.client.Create(w.Context(), m); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = w.client.Delete(context.Background(), m) })
	if version != "" {
		m.Status.Current = &v1alpha1.RevisionReference{Version: version, Digest: "sha256:" + v1alpha1.Digest(zeros)}
		if err := w.client.Status().Update(w.Context(), m); err != nil {
			w.Fatal(err)
		}
	}
	return m
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func TestDependants(t *testing.T) {
	w := newWorld(t)
	m := w.runs("0.9.0")
	w.other("needed", "1.2.0")
	w.other("needing", "3.0.0", v1alpha1.ModuleDependency{Module: m.Name, Version: "<2"})
	w.other("stranger", "", v1alpha1.ModuleDependency{Module: m.Name, Version: "<0.1"})
	w.other("unmet", "1.0.0", v1alpha1.ModuleDependency{Module: m.Name, Version: "<0.1"})
	w.other("rival", "1.0.0")
	requires := func(name, version string) func(*plan.Package) {
		return func(p *plan.Package) {
			p.Requires = append(p.Requires, v1alpha1.ModuleDependency{Module: name, Version: version})
		}
	}
	cases := map[string]struct {
		reason, version string
		change          func(*plan.Package)
		want            []string
	}{
		"Fine":      {reason: "what is required is there", version: "1.0.0", change: requires("needed", "~1.2")},
		"Missing":   {reason: "what is required isn't there", version: "1.0.0", change: requires("nowhere", ">=2"), want: []string{"Dependants Module/nowhere: is required, and doesn't exist: create it, in a version of >=2"}},
		"TooOld":    {reason: "what is required is too old", version: "1.0.0", change: requires("needed", ">=1.3"), want: []string{"Module/needed: is required in a version of >=1.3, and is 1.2.0"}},
		"OutOfNeed": {reason: "somebody needs another version", version: "2.0.0", want: []string{"Module/needing: depends on " + m.Name + " <2, and this would be 2.0.0"}},
		"Stranger":  {reason: "what was never installed needs nothing, and what isn't met already isn't lost", version: "1.1.0"},
		"Conflict": {
			reason: "the two don't go together", version: "1.0.0", want: []string{"Module/rival: doesn't go together with package runner 1.0.0"},
			change: func(p *plan.Package) { p.Conflicts = []v1alpha1.ModuleDependency{{Module: "rival"}} },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.change == nil {
				c.change = func(*plan.Package) {}
			}
			w.put(c.version, settings, c.change)
			wantProblems(t, w.plan(m), c.reason, c.want...)
		})
	}
	if got := w.planned(m, "1.0.0", requires("needed", ">=1.1")).Reference(); got.Package != "runner" || len(got.Requires) != 1 || got.Requires[0].Module != "needed" {
		t.Errorf("what others must know of the plan is %+v", got)
	}
	m.Spec.DependsOn = []v1alpha1.ModuleDependency{{Module: "needed", Version: ">=1"}}
	w.put("1.0.0", settings, requires("needed", ">=1.3"))
	p := w.plan(m)
	wantProblems(t, p, "the Module's own word replaces the package's")
	if len(p.Requires) != 1 || p.Requires[0].Version != ">=1" {
		t.Errorf("it requires %v", p.Requires)
	}
}

// runs makes the test's Module, with something installed in a version.
func (w *world) runs(version string) *v1alpha1.Module {
	w.Helper()
	m := w.module()
	w.install(m, w.planned(m, version, func(p *plan.Package) {
		p.Render = func(context.Context, plan.Rendering) ([]*unstructured.Unstructured, error) {
			return w.objects(strings.ReplaceAll(settings, "info", "debug")), nil
		}
	}))
	return m
}

func (w *world) planned(m *v1alpha1.Module, version string, change func(*plan.Package)) *plan.Plan {
	w.Helper()
	w.put(version, settings, change)
	return w.plan(m)
}

// TestWhatOtherPackagesRequire: the word of a package that is installed, or on its way, counts like that of the Module's author, and packages call
// each other by the names of packages.
func TestWhatOtherPackagesRequire(t *testing.T) {
	w := newWorld(t)
	m := w.runs("1.0.0")
	needing := w.other("needing", "3.0.0")
	w.other("unaware", "1.0.0")
	say := func(status v1alpha1.ModuleStatus) {
		t.Helper()
		needing.Status = status
		if err := w.client.Status().Update(t.Context(), needing); err != nil {
			t.Fatal(err)
		}
	}
	wants := func(name, version string) v1alpha1.RevisionReference {
		return v1alpha1.RevisionReference{
			Version: "3.0.0", Digest: "sha256:" + v1alpha1.Digest(zeros), Package: "mesh", Requires: []v1alpha1.ModuleDependency{{Module: name, Version: version}},
		}
	}
	installed, coming := wants("runner", "<2"), wants(m.Name, "<3")
	attempt := &v1alpha1.Attempt{Target: coming, Generation: 1, Began: metav1.Now(), Deadline: metav1.Now()}
	problem := func(bound, version string) string {
		return "Module/needing: has package mesh, which requires " + m.Name + " " + bound + ", and this would be " + version + ": bring needing to a version that allows it first"
	}
	same := func(*plan.Package) {}
	for _, c := range []struct {
		reason, version string
		status          v1alpha1.ModuleStatus
		want            []string
	}{
		{reason: "only on its way for the first time", version: "3.0.0", status: v1alpha1.ModuleStatus{Attempt: attempt}},
		{reason: "in the range", version: "1.9.0", status: v1alpha1.ModuleStatus{Current: &installed}},
		{reason: "beyond what is installed bears", version: "2.0.0", status: v1alpha1.ModuleStatus{Current: &installed}, want: []string{problem("<2", "2.0.0")}},
		{reason: "beyond both", version: "3.0.0", status: v1alpha1.ModuleStatus{Current: &installed, Attempt: attempt}, want: []string{problem("<2", "3.0.0"), problem("<3", "3.0.0")}},
		{reason: "what is only planned says nothing of what is installed", version: "3.0.0", status: v1alpha1.ModuleStatus{Current: &v1alpha1.RevisionReference{
			Version: "3.0.0", Digest: coming.Digest, Package: "mesh",
		}, Target: &coming}},
	} {
		say(c.status)
		wantProblems(t, w.planned(m, c.version, same), c.reason, c.want...)
	}
	say(v1alpha1.ModuleStatus{Current: &v1alpha1.RevisionReference{Version: "3.0.0", Digest: coming.Digest, Package: "mesh"}})
	p := w.planned(m, "1.0.0", func(p *plan.Package) {
		p.Requires = []v1alpha1.ModuleDependency{{Module: "mesh", Version: ">=4"}}
		p.Conflicts = []v1alpha1.ModuleDependency{{Module: "mesh", Version: "<4"}}
	})
	wantProblems(t, p, "the package's name stands for the module that has it", "Module/needing: is required in a version of >=4, and is 3.0.0",
		"Module/needing: doesn't go together with package runner 1.0.0")
	if len(p.Requires) != 1 || p.Requires[0].Module != "needing" || p.PackageRequires[0].Module != "mesh" {
		t.Errorf("it requires %v, in the package's words %v", p.Requires, p.PackageRequires)
	}
}

// revised gives a Module an installed revision with these objects.
func (w *world) revised(m *v1alpha1.Module, text string) *revision.Revision {
	w.Helper()
	rev := &v1alpha1.ModuleRevision{
		ObjectMeta: metav1.ObjectMeta{Name: revision.Name(m.Name, 1)},
		Spec: v1alpha1.ModuleRevisionSpec{
			Module: m.Name, Number: 1, Version: "1.0.0", Namespace: w.env.Namespace,
			Package: v1alpha1.ResolvedPackage{Name: m.Name, URL: "oci://registry.example.com/" + m.Name, Digest: "sha256:" + v1alpha1.Digest(zeros)},
		},
	}
	steps := revision.Split(w.objects(text))
	if err := w.store.Save(w.Context(), rev, steps, nil, []byte("{}")); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = w.client.Delete(context.Background(), rev) })
	m.Status.Current = &v1alpha1.RevisionReference{Version: "1.0.0", Digest: rev.Spec.Digest, Revision: rev.Name}
	if err := w.client.Status().Update(w.Context(), m); err != nil {
		w.Fatal(err)
	}
	return &revision.Revision{Object: rev, Steps: steps}
}

// TestVersionThatAnotherModuleUses: an object that another module has installed is written again in its version whenever that module is
// looked at, whoever wrote it last. How many definitions change makes no difference to what is read of the others.
func TestVersionThatAnotherModuleUses(t *testing.T) {
	w := newWorld(t)
	w.grant(`{namespaces: [NS], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`)
	one, two := w.name+".one.example", w.name+".two.example"
	w.put("1.0.0", docs(versions(one, "v1beta1", "v1"), versions(two, "v1beta1", "v1")))
	m := w.module()
	w.install(m, w.plan(m))
	w.eventuallyServed("boats." + one)
	w.eventuallyServed("boats." + two)
	w.clients.Invalidate()

	boat := "\nkind: Boat\nmetadata: {name: ark, namespace: " + w.env.Namespace + "}"
	using := w.other(w.name+"-using", "")
	used := w.revised(using, docs("apiVersion: "+one+"/v1beta1"+boat, "apiVersion: "+two+"/v1"+boat))
	w.put("2.0.0", docs(versions(one, "v1"), versions(two, "v1")))
	p := w.plan(m)
	wantProblems(t, p, "one of the versions that go is used",
		"Definitions CustomResourceDefinition/boats."+one+": v1beta1: the version is no longer served, but used by module "+using.Name+" ("+w.env.Namespace+"/ark)")
	reads := 0
	for _, request := range w.seen.all {
		if strings.HasSuffix(request, "/modulerevisions/"+used.Object.Name) {
			reads++
		}
	}
	if reads != 1 {
		t.Errorf("the other module's revision is read %d times, want once", reads)
	}

	for _, step := range used.Object.Spec.Steps {
		for _, content := range step.Content {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: content.Secret}}
			if err := w.client.Delete(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			w.remembers(secret, "")
		}
	}
	p = w.plan(m)
	wantProblems(t, p, "what another module has lost doesn't hold up this one")
	if len(p.Unseen) != 1 || !strings.Contains(p.Unseen[0], "which kinds module "+using.Name+" uses: ") {
		t.Errorf("what nobody could see is %q, want the other module's kinds", p.Unseen)
	}
}
