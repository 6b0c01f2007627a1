package cli

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/lab/cosign"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// pushModule puts a package into a registry, with more lines for its package.yaml, and returns its digest.
func pushModule(t *testing.T, host, version, more, manifests string) string {
	t.Helper()
	dir := folder(t, map[string]string{
		"package.yaml":        "apiVersion: slipway.dev/v1alpha1\nkind: Package\nname: runner\nversion: " + version + "\n" + more,
		"manifests/main.yaml": manifests,
	})
	pushed := slipway(t, "package", "push", dir, "oci://"+host+"/runner", "--insecure")
	pushed.want(t, ExitDone, "@sha256:")
	_, digest, _ := strings.Cut(strings.TrimSuffix(pushed.out, " pushed\n"), "@")
	return digest
}

func TestModulePlan(t *testing.T) {
	w := newModulesWorld(t)
	host := registryHost(t, "")
	pushModule(t, host, "1.4.2", "", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: info}\n---\n"+
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
	m := w.module(module, func(s *v1alpha1.ModuleSpec) {
		s.Source.OCI.URL, s.Version, s.Namespace = "oci://"+host+"/runner", "", module
	}, nil)
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
	w.status(m, func(s *v1alpha1.ModuleStatus) { s.Plan = &v1alpha1.PlanSummary{At: metav1.Now(), Content: &ref} })
	w.slipway("module", "plan", module, "--stored").want(t, ExitFailed, "9.9.9", "Images Pod/a/b: runs an image that isn't there")
}

// What a plan trusts is what the agent with the same flags trusts.
func TestModulePlanTrustsWhomItIsTold(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	w, host := newModulesWorld(t), registryHost(t, "")
	signer, err := cosign.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	other, err := cosign.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
	if err := signer.Sign(host + "/runner@" + pushModule(t, host, "1.4.2", "", settings)); err != nil {
		t.Fatal(err)
	}
	instance, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	root, err := cosign.TrustedRoot(instance)
	if err != nil {
		t.Fatal(err)
	}
	module := "apiVersion: slipway.dev/v1alpha1\nkind: Module\nmetadata: {name: " + w.name + "}\nspec:\n  source: {oci: {url: 'oci://" + host + "/runner'}}\n  namespace: " + w.name + "\n"
	files := folder(t, map[string]string{
		"mine.pub": string(signer.Public), "other.pub": string(other.Public), "root.json": string(root), "nothing.json": "{}", "module.yaml": module,
		"keyless.yaml": module + "  verify: {identities: [{issuer: 'https://issuer.example.com', subject: '.*'}]}\n",
	})
	file := func(name string) string { return filepath.Join(files, name) }
	identity := []string{"--verify-issuer=https://issuer.example.com", "--verify-subject=ci"}
	cases := map[string]struct {
		reason string
		file   string
		flags  []string
		code   int
		want   string
	}{
		"Nobody":      {reason: "without a word nothing has to be signed", code: ExitDone, want: "no problems"},
		"Signer":      {reason: "signed by the key", flags: []string{"--verify-keys", file("mine.pub")}, code: ExitDone, want: "no problems"},
		"OneOfTwo":    {reason: "one key of two is enough", flags: []string{"--verify-keys", file("other.pub"), "--verify-keys", file("mine.pub")}, code: ExitDone, want: "no problems"},
		"Other":       {reason: "signed by another key", flags: []string{"--verify-keys", file("other.pub")}, code: ExitFailed, want: "none of the keys"},
		"Identity":    {reason: "signed with a key, and not by whom is wanted", flags: append(identity, "--trusted-root", file("root.json")), code: ExitFailed, want: "Verify"},
		"Keyless":     {reason: "a Module that names identities has somebody who vouches for them", file: "keyless.yaml", flags: []string{"--trusted-root", file("root.json")}, code: ExitFailed, want: "Verify"},
		"NobodyElse":  {reason: "without a root nobody does", file: "keyless.yaml", code: ExitFailed, want: "--trusted-root"},
		"NoKey":       {reason: "a file that isn't there", flags: []string{"--verify-keys", file("none.pub")}, code: ExitUsage, want: "none.pub"},
		"NotAKey":     {reason: "a file that is no key", flags: []string{"--verify-keys", file("root.json")}, code: ExitUsage, want: "no public key"},
		"NotARoot":    {reason: "a file that vouches for nobody", flags: []string{"--trusted-root", file("nothing.json")}, code: ExitUsage, want: "trusted_root.json"},
		"Unvouched":   {reason: "an identity for which nobody vouches", flags: identity, code: ExitUsage, want: "belong together"},
		"AnySubject":  {reason: "everybody with an account at the issuer", flags: []string{identity[0], "--trusted-root", file("root.json")}, code: ExitUsage, want: "belong together"},
		"TwoPolicies": {reason: "which of them would hold?", flags: append(identity, "--verify-keys", file("mine.pub")), code: ExitUsage, want: "not both"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"module", "plan", "--file", file(cmp.Or(c.file, "module.yaml")), "--insecure-registries=" + host}, c.flags...)
			w.slipway(args...).want(t, c.code, c.want)
			if t.Failed() {
				t.Log(c.reason)
			}
		})
	}
}
