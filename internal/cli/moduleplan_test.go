package cli

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/config"
	"github.com/slipway-dev/slipway/deploy"
	packages "github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
	treestore "github.com/slipway-dev/slipway/internal/source"
)

// newModuleWorld is a cluster that knows Modules.
func newModuleWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for _, kind := range []string{"modules", "modulegrants", "modulerevisions"} {
		content, err := config.FS.ReadFile("crd/bases/slipway.dev_" + kind + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(content, &obj.Object); err != nil {
			t.Fatal(err)
		}
		if _, err := w.applyOwn(t.Context(), obj, false); err != nil {
			t.Fatal(err)
		}
		if err := w.waitEstablished(t.Context(), obj.GetName()); err != nil {
			t.Fatal(err)
		}
	}
	err := w.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: deploy.Namespace}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return w
}

// pushModule puts a package into a registry, and returns the registry's host.
func pushModule(t *testing.T, version string, manifests string) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	store, err := treestore.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	image, _, err := packages.Build(t.Context(), store, fstest.MapFS{
		"package.yaml":        {Data: []byte("apiVersion: slipway.dev/v1alpha1\nkind: Package\nname: runner\nversion: " + version + "\n")},
		"manifests/main.yaml": {Data: []byte(manifests)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(host+"/runner:"+version, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	return host
}

func TestModulePlan(t *testing.T) {
	w := newModuleWorld(t)
	host := pushModule(t, "1.4.2", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: info}\n---\n"+
		"apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: hunter2}\n")
	module := w.namespace + "-runner"
	file := filepath.Join(t.TempDir(), "module.yaml")
	write := func(more string) {
		t.Helper()
		text := "apiVersion: slipway.dev/v1alpha1\nkind: Module\nmetadata: {name: " + module + "}\nspec:\n  source: {oci: {url: 'oci://" + host + "/runner'}}\n" + more
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("  namespace: " + module + "\n")
	insecure := "--insecure-registries=" + host

	a := w.slipway("module", "plan", "--file", file, insecure)
	a.want(t, ExitDone, "1.4.2", "3 created, 0 changed", "create  ConfigMap/"+module+"/settings", "Way back:   until the commit", "no problems")
	if strings.Contains(a.out, "hunter2") {
		t.Errorf("it tells a Secret:\n%s", a.out)
	}

	write("  namespace: kube-system\n")
	w.slipway("module", "plan", "--file", file, insecure).want(t, ExitFailed, "2 problems", "Permissions ConfigMap/kube-system/settings: is in namespace kube-system, which was there before the Module")

	write("  namespace: " + module + "\n  grantRef: {name: nowhere}\n")
	w.slipway("module", "plan", "-f", file, insecure).want(t, ExitFailed, "ModuleGrant nowhere doesn't exist")

	write("  version: '>=2'\n")
	j := w.slipway("module", "plan", "-f", file, insecure, "-o", "json")
	j.want(t, ExitFailed, "")
	var p plan.Plan
	if err := json.Unmarshal([]byte(j.out), &p); err != nil || len(p.Problems) != 1 || p.Problems[0].Check != plan.CheckResolve {
		t.Errorf("as JSON: %v\n%s", err, j.out)
	}
	write("  nonsense: true\n")
	w.slipway("module", "plan", "-f", file).want(t, ExitFailed, "nonsense")
	w.slipway("module", "plan").want(t, ExitUsage, "give either the name of a Module, or --file")
	w.slipway("module", "plan", "nowhere-to-be-found").want(t, ExitFailed, "there is no Module")

	// One that is in the cluster, and the plan that the agent has made.
	m := &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: module}, Spec: v1alpha1.ModuleSpec{
		Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + host + "/runner"}}, Namespace: module,
	}}
	if err := w.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.slipway("module", "plan", module, insecure).want(t, ExitDone, "3 created")
	w.slipway("module", "plan", module, "--stored").want(t, ExitFailed, "the agent hasn't made a plan")
	content, err := json.Marshal(plan.Plan{Module: module, Version: "9.9.9", Problems: []v1alpha1.PlanProblem{{Check: plan.CheckImages, Object: "Pod/a/b", Message: "runs an image that isn't there"}}})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := revision.NewStore(w, deploy.Namespace).Put(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	m.Status.Plan = &v1alpha1.PlanSummary{At: metav1.Now(), Content: &ref}
	if err := w.Status().Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.slipway("module", "plan", module, "--stored").want(t, ExitFailed, "9.9.9", "Images Pod/a/b: runs an image that isn't there")
}
