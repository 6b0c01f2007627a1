package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSelected(t *testing.T) {
	const sources = "GitRepository OCIRepository Bucket ExternalArtifact"
	for name, tc := range map[string]struct {
		reason string
		args   []string
		kinds  string
		name   string
		fails  string
	}{
		"Nothing":         {"what is there, is meant", nil, sources + " Kustomization Receiver", "", ""},
		"All":             {"as flux has it", []string{"all"}, sources + " Kustomization Receiver", "", ""},
		"Plural":          {"one kind", []string{"kustomizations"}, "Kustomization", "", ""},
		"Short":           {"one object", []string{"ks", "shop"}, "Kustomization", "shop", ""},
		"Slash":           {"the same", []string{"ks/shop"}, "Kustomization", "shop", ""},
		"Sources":         {"every kind of source", []string{"sources"}, sources, "", ""},
		"SourcesAll":      {"as flux has it", []string{"sources", "all"}, sources, "", ""},
		"SourceType":      {"as flux has it", []string{"sources", "oci"}, "OCIRepository", "", ""},
		"SourceTypeName":  {"as flux has it", []string{"source", "bucket", "charts"}, "Bucket", "charts", ""},
		"SourceName":      {"of whichever kind", []string{"source", "shop"}, sources, "shop", ""},
		"SourceSlash":     {"of whichever kind", []string{"source/shop"}, sources, "shop", ""},
		"SourceTypeSlash": {"a mix of both spellings", []string{"source", "git/shop"}, "GitRepository", "shop", ""},
		"Case":            {"as in a manifest", []string{"GitRepository/shop"}, "GitRepository", "shop", ""},
		"UnknownKind":     {"kinds are few", []string{"helmrelease"}, "", "", "gitrepository"},
		"UnknownType":     {"types are few", []string{"source", "helm", "x"}, "", "", "git, oci, bucket, external"},
		"AllWithName":     {"names are of a kind", []string{"all", "shop"}, "", "", "takes no name"},
		"TooMany":         {"one name", []string{"ks", "a", "b"}, "", "", "KIND NAME"},
		"NoName":          {"the slash promises one", []string{"ks/"}, "", "", "KIND/NAME"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := selected(tc.args)
			if err != nil {
				if tc.fails == "" || !strings.Contains(err.Error(), tc.fails) {
					t.Fatalf("%s: %v", tc.reason, err)
				}
				return
			}
			var names []string
			for _, k := range got.kinds {
				names = append(names, k.name)
			}
			if diff := cmp.Diff([]string{tc.kinds, tc.name, tc.fails}, []string{strings.Join(names, " "), got.name, ""}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestExportIsWhatAnAuthorWrites(t *testing.T) {
	w := newWorld(t)
	shop := kustomization("shop", "shop")
	shop.Labels = map[string]string{"team": "payments", "kustomize.toolkit.fluxcd.io/name": "fleet"}
	shop.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"}
	w.has(source("shop"), shop)
	got := w.slipway("export", "ks", "shop")
	got.want(t, ExitDone, "kind: Kustomization", "path: ./deploy", "team: payments", "namespace: "+w.namespace)
	for _, word := range []string{"status", "uid", "managedFields", "requestedAt", "fleet", "creationTimestamp"} {
		if strings.Contains(got.out, word) {
			t.Errorf("%s is none of the author's:\n%s", word, got.out)
		}
	}
	all := w.slipway("export", "all", "--all")
	if strings.Count(all.out, "---\n") != 2 {
		t.Errorf("want two documents:\n%s", all.out)
	}
	w.slipway("export", "ks").want(t, ExitUsage, "name is missing")
}

func TestGetChoosesByStatus(t *testing.T) {
	w := newWorld(t)
	failing := kustomization("cart", "shop")
	failing.Status.Conditions = []metav1.Condition{condition(meta.ReadyCondition, metav1.ConditionFalse, "BuildFailed", "no such file\nat all")}
	fresh := kustomization("fresh", "shop")
	fresh.Status.Conditions = nil
	w.has(source("shop"), kustomization("shop", "shop"), failing, fresh)

	got := w.slipway("get", "all", "--status-selector", "ready=false", "-o", "wide")
	got.want(t, ExitDone, "kustomization/cart", "no such file at all", commit)
	if strings.Contains(got.out, "shop ") {
		t.Errorf("what is ready is shown, too:\n%s", got.out)
	}
	w.slipway("get", "ks", "--status-selector", "Ready=unknown").want(t, ExitDone, "fresh")
	w.slipway("get", "ks", "--status-selector", "stalled=true").want(t, ExitDone, "nothing has stalled=true")
	w.slipway("get", "ks", "--status-selector", "ready").want(t, ExitUsage, "CONDITION=")
	var list sourcev1.GitRepositoryList
	if err := json.Unmarshal([]byte(w.slipway("get", "sources", "git", "-o", "json").out), &list); err != nil || len(list.Items) != 1 {
		t.Errorf("%d sources of type git (%v)", len(list.Items), err)
	}
	w.slipway("reconcile", "source", "nosuch").want(t, ExitFailed, `no source "nosuch"`, "there are: gitrepository/shop")
}
