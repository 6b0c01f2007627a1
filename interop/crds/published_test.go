// Package crds_test holds the judgement of changed definitions against crdify's own runner, on definitions that others have published.
package crds_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/crdify/pkg/config"
	"sigs.k8s.io/crdify/pkg/runner"

	"github.com/slipway-dev/slipway/internal/module/crd"
)

type definition = apiextensionsv1.CustomResourceDefinition

// module is the folder of a module in the module cache. It is downloaded if it isn't there: two versions of one module can't both be
// in go.mod, and none of their code is needed.
func module(t *testing.T, at string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", at)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	text, err := cmd.Output()
	var got struct{ Dir string }
	if err != nil || json.Unmarshal(text, &got) != nil || got.Dir == "" {
		t.Skipf("%s isn't in the module cache and can't be had: %v", at, err)
	}
	return got.Dir
}

// definitions reads all definitions in the files of a pattern.
func definitions(t *testing.T, dir, pattern string) map[string]*definition {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s in %s (%v)", pattern, dir, err)
	}
	all := map[string]*definition{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range bytes.Split(text, []byte("\n---")) {
			if !bytes.Contains(one, []byte("\nkind: CustomResourceDefinition")) {
				continue
			}
			d, err := crd.Parse(one)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			all[d.Name] = d
		}
	}
	return all
}

func TestPublishedChanges(t *testing.T) {
	cases := map[string]struct {
		was, next, files string
		count            int
		unsafe           []string // definitions that are unsafe forward
	}{
		"cert-manager patch": {"github.com/cert-manager/cert-manager@v1.20.0", "github.com/cert-manager/cert-manager@v1.20.3", "deploy/crds/*.yaml", 6, nil},
		"cert-manager minor": {"github.com/cert-manager/cert-manager@v1.20.3", "github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds/*.yaml", 6, []string{"clusterissuers.cert-manager.io", "issuers.cert-manager.io"}}, // a rule about Venafi
		"flagger":            {"github.com/fluxcd/flagger@v1.38.0", "github.com/fluxcd/flagger@v1.41.0", "artifacts/flagger/crd.yaml", 3, []string{"canaries.flagger.app"}},                                                    // replicas of the primary's autoscaler
		"flagger long ago":   {"github.com/fluxcd/flagger@v1.30.0", "github.com/fluxcd/flagger@v1.41.0", "artifacts/flagger/crd.yaml", 3, []string{"canaries.flagger.app"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			was, next := definitions(t, module(t, tc.was), tc.files), definitions(t, module(t, tc.next), tc.files)
			if len(was) != tc.count || len(next) != tc.count {
				t.Fatalf("%d definitions, then %d; want %d", len(was), len(next), tc.count)
			}
			for name := range was {
				forward := compare(t, was[name], next[name])
				if want := !slices.Contains(tc.unsafe, name); forward.Safe() != want || !forward.Reversible() {
					t.Errorf("%s: safe %t (want %t), reversible %t: %v", name, forward.Safe(), want, forward.Reversible(), forward.Findings)
				}
				covers(t, was[name], next[name])
				covers(t, next[name], was[name])
			}
		})
	}
}

func compare(t *testing.T, was, next *definition) crd.Report {
	t.Helper()
	was = was.DeepCopy()
	for _, v := range was.Spec.Versions {
		if v.Storage {
			was.Status.StoredVersions = []string{v.Name}
		}
	}
	r, err := crd.Compare(crd.Change{Live: was, Next: next})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// covers fails where crdify, at its strictest, has an error and we say nothing about the place. What loosens a constraint crdify reports,
// too, and for us it is a note on the way back; so either direction will do.
func covers(t *testing.T, was, next *definition) {
	t.Helper()
	strict, err := runner.New(&config.Config{UnhandledEnforcement: config.EnforcementPolicyError, Conversion: config.ConversionPolicyNone}, runner.DefaultRegistry())
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, f := range compare(t, was, next).Findings {
		places = append(places, f.Version+"^"+strings.ReplaceAll(f.Path, ".*", "[*]"))
	}
	for version, properties := range strict.Run(was, next).SameVersionValidation {
		for property, results := range properties {
			for _, r := range results {
				if r.Name == "description" || len(r.Errors) == 0 {
					continue
				}
				place := fmt.Sprintf("%s%s", version, property)
				if !slices.ContainsFunc(places, func(p string) bool { return at(place, p) }) {
					t.Errorf("%s: crdify's %s objects at %s (%s); we have %v", was.Name, r.Name, place, r.Errors, places)
				}
			}
		}
	}
}

// at is whether a place is another one or below it.
func at(place, other string) bool {
	rest, ok := strings.CutPrefix(place, other)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
