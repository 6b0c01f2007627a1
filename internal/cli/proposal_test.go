package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
)

func configMap(name, colour string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n  colour: " + colour + "\n"
}

func childManifest(name, path string) string {
	return `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: ` + name + `}
spec:
  interval: 1m
  path: ` + path + `
  prune: true
  targetNamespace: NAMESPACE
  sourceRef: {kind: GitRepository, name: shop}
`
}

// fleet is a repository in which one Kustomization delivers others, and what of it runs. It returns the folder of the repository.
func (w *world) fleet(branch gitserver.Change) string {
	w.t.Helper()
	here := func(files map[string]string) map[string]string {
		for name, content := range files {
			files[name] = strings.ReplaceAll(content, "NAMESPACE", w.namespace)
		}
		return files
	}
	_, repo := gittest.Start(w.t, "fleet", gitserver.Options{})
	main := here(map[string]string{
		"fleet/red.yaml": childManifest("red", "./red"), "fleet/blue.yaml": childManifest("blue", "./blue"), "fleet/old.yaml": childManifest("old", "./old"),
		"red/cm.yaml": configMap("red", "red"), "blue/cm.yaml": configMap("blue", "blue"), "navy/cm.yaml": configMap("blue", "navy"),
		"old/cm.yaml": configMap("old", "grey"), "green/cm.yaml": configMap("green", "green"),
	})
	head, err := repo.Apply(w.t.Context(), gitserver.Change{Message: "a fleet", Files: main})
	if err != nil {
		w.t.Fatal(err)
	}
	branch.Branch, branch.From, branch.Message, branch.Files = "feature", "main", "a proposal", here(branch.Files)
	if _, err := repo.Apply(w.t.Context(), branch); err != nil {
		w.t.Fatal(err)
	}
	from := source("shop")
	from.Spec.URL = "file://" + repo.Dir()
	from.Status.Artifact.Revision = "main@sha1:" + head
	root := kustomization("fleet", "shop")
	root.Spec.Path, root.Spec.TargetNamespace = "./fleet", w.namespace
	w.has(from, root)
	w.apply(root, main)
	for _, name := range []string{"red", "blue", "old"} {
		ks := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace}}
		w.reload(ks)
		w.apply(ks, main)
		ks.Status.Inventory = inventory(w.namespace + "_" + name + "__ConfigMap")
		if err := w.Status().Update(w.t.Context(), ks); err != nil {
			w.t.Fatal(err)
		}
	}
	return repo.Dir()
}

func TestDiffOfABranch(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		branch gitserver.Change
		want   map[string]string // by Kustomization: what becomes of it, and the summary
	}{
		"OneOfThem": {
			"the others read nothing else than before",
			gitserver.Change{Files: map[string]string{"red/cm.yaml": configMap("red", "crimson"), "README.md": "new"}},
			map[string]string{"red": ": 1 configured"},
		},
		"Nothing": {"no manifest", gitserver.Change{Files: map[string]string{"README.md": "new"}}, map[string]string{}},
		"AnotherPath": {
			"the branch changes the Kustomization itself",
			gitserver.Change{Files: map[string]string{"fleet/blue.yaml": childManifest("blue", "./navy")}},
			map[string]string{"fleet": ": 1 configured, 2 unchanged", "blue": "changed: 1 configured"},
		},
		"Added": {
			"with what it brings",
			gitserver.Change{Files: map[string]string{"fleet/green.yaml": childManifest("green", "./green")}},
			map[string]string{"fleet": ": 1 created, 3 unchanged", "green": "added: 1 created"},
		},
		"Deleted": {
			"with what it has brought",
			gitserver.Change{Remove: []string{"fleet/old.yaml"}},
			map[string]string{"fleet": ": 2 unchanged", "old": "deleted: 1 deleted"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			dir := w.fleet(tc.branch)
			code := ExitFailed
			if len(tc.want) == 0 {
				code = ExitDone
			}
			answer := w.slipway("diff", "ks", "--all", "--branch", "feature", "-o", "json")
			answer.want(t, code)
			var found []kustomizationDiff
			if err := json.Unmarshal([]byte(answer.out), &found); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, ks := range found {
				got[strings.TrimPrefix(ks.Kustomization, w.namespace+"/")] = ks.Proposal + ": " + ks.summary() + ks.Error
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, answer.err)
			}
			w.slipway("diff", "ks", "--all", "--branch", "feature", "--repo", dir, "--exit-code=false").want(t, ExitDone)
		})
	}
}

func TestDiffOfABranchForPeople(t *testing.T) {
	w := newWorld(t)
	dir := w.fleet(gitserver.Change{Files: map[string]string{
		"red/cm.yaml": configMap("red", "crimson") + "---\n" + secretManifest, "fleet/blue.yaml": childManifest("blue", "./navy"),
	}})
	text := w.slipway("diff", "kustomization", "--all", "--branch", "feature")
	text.want(t, ExitFailed, "Kustomization/"+w.namespace+"/red", "-  colour: red", "+  colour: crimson", "1 created, 1 configured", "changed by it", "feature@sha1:")
	markdown := w.slipway("diff", "ks", "--all", "--branch", "feature", "-o", "markdown")
	markdown.want(t, ExitFailed, "## What `feature` would change", "### Kustomization `"+w.namespace+"/red`: 1 created, 1 configured", "```diff", "+  colour: crimson", "<details>")
	for _, got := range []answer{text, markdown} {
		if strings.Contains(got.out+got.err, "swordfish") {
			t.Errorf("a secret is shown:\n%s", got.out)
		}
	}
	w.slipway("diff", "ks", "blue", "--branch", "feature").want(t, ExitFailed, "+  colour: navy", "changed by it")
	w.slipway("diff", "ks", "red", "--branch", "main").want(t, ExitDone, "1 unchanged")
	w.slipway("diff", "ks", "red", "--branch", "nosuch", "--repo", dir).want(t, ExitFailed, `branch "nosuch"`)
	w.slipway("diff", "ks", "red", "--all", "--branch", "x").want(t, ExitUsage, "--all takes no name")
	w.slipway("diff", "ks", "--all").want(t, ExitUsage, "--branch or --path")
	w.slipway("diff", "ks", "red", "--repo", dir).want(t, ExitUsage, "--branch")
}

// A diff must tell what the agent, which acts as the service account, may not do.
func TestDiffIsMadeAsTheServiceAccount(t *testing.T) {
	w := newWorld(t)
	shop := kustomization("shop", "shop")
	shop.Spec.TargetNamespace, shop.Spec.ServiceAccountName = w.namespace, "deployer"
	w.has(shop, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer"}}, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "deployer"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "create", "patch"}}},
	}, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "deployer"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "deployer"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "deployer", Namespace: w.namespace}},
	})
	dir := checkout(t, map[string]string{"cm.yaml": configMap("new", "red"), "key.yaml": secretManifest})
	w.eventually(func() error { // the API server learns of roles by a watch
		if got := w.slipway("diff", "ks", "shop", "--path", dir); !strings.Contains(got.out, "ConfigMap/"+w.namespace+"/new created") {
			return errors.New(got.out + got.err)
		}
		return nil
	})
	w.slipway("diff", "ks", "shop", "--path", dir).want(t, ExitFailed, "ConfigMap/"+w.namespace+"/new created", "Secret/"+w.namespace+"/key can't be applied")
	w.slipway("diff", "ks", "shop", "--path", dir, "--as-me").want(t, ExitDone, "Secret/"+w.namespace+"/key created")
}

func TestFencesFit(t *testing.T) {
	if got := fenced("diff", "+ a ``` b\n"); !strings.HasPrefix(got, "````diff\n") || !strings.HasSuffix(got, "\n````") {
		t.Errorf("the text ends its own block:\n%s", got)
	}
}
