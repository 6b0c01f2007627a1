// Package docs_test holds the pages of this folder against the code: a page about a kind has a row for every field of that kind, and
// every row names a test that exists.
package docs_test

import (
	"os"
	"reflect"
	"slices"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/pack"
)

// kinds lists the pages whose tables must be complete. To add one: write its tables as [readPage] wants them, and add a line here.
var kinds = []struct {
	page         string
	spec, status any
}{
	{"bucket.md", sourcev1.BucketSpec{}, sourcev1.BucketStatus{}},
	{"receiver.md", notificationv1.ReceiverSpec{}, notificationv1.ReceiverStatus{}},
	{"externalartifact.md", sourcev1.ExternalArtifactSpec{}, sourcev1.ExternalArtifactStatus{}},
	{"kustomization.md", kustomizev1.KustomizationSpec{}, kustomizev1.KustomizationStatus{}},
	{"gitrepository.md", sourcev1.GitRepositorySpec{}, sourcev1.GitRepositoryStatus{}},
	{"ocirepository.md", sourcev1.OCIRepositorySpec{}, sourcev1.OCIRepositoryStatus{}},
	{"modules.md", v1alpha1.ModuleSpec{}, v1alpha1.ModuleStatus{}},
	{"modulerevision.md", v1alpha1.ModuleRevisionSpec{}, v1alpha1.ModuleRevisionStatus{}},
	{"modulegrant.md", v1alpha1.ModuleGrantSpec{}, struct{}{}},
	{"interpreter.md", v1alpha1.InterpreterSpec{}, v1alpha1.InterpreterStatus{}},
	{"package.md", pack.Manifest{}, struct{}{}},
	{"agentupgrade.md", v1alpha1.AgentUpgradeSpec{}, v1alpha1.AgentUpgradeStatus{}},
}

func TestEveryFieldIsDocumentedAndTested(t *testing.T) {
	tests := testsOf(t, "..")
	for _, k := range kinds {
		t.Run(k.page, func(t *testing.T) {
			text, err := os.ReadFile(k.page)
			if err != nil {
				t.Fatal(err)
			}
			for _, complaint := range check(string(text), reflect.TypeOf(k.spec), reflect.TypeOf(k.status), tests) {
				t.Error(complaint)
			}
		})
	}
}

// TestWhatIsMissingIsFound is the test of the test.
func TestWhatIsMissingIsFound(t *testing.T) {
	type inner struct {
		Name string `json:"name"`
		Path string `json:"path,omitempty"`
	}
	type inlined struct {
		Handled string `json:"handled"`
	}
	type spec struct {
		URL     string   `json:"url"`
		Ref     *inner   `json:"ref,omitempty"`
		Include []inner  `json:"include,omitempty"`
		Words   []string `json:"words,omitempty"`
	}
	type status struct {
		inlined `json:",inline"`

		Observed []inner `json:"observed,omitempty"`
	}
	const whole = "## Spec\n\n| field | meaning | test |\n| --- | --- | --- |\n| `url` | x \\| y | `TestA` |\n| `ref.name`, `ref.path` | x | `TestA/Case` |\n" +
		"| `include[].name` | x | `TestA` |\n| `include[].path` | x | `TestA`, `TestB` |\n| `words` | x | `TestA` |\n"
	const rest = "\n## Status\n\n| field | meaning | test |\n| --- | --- | --- |\n| `handled` | x | `TestA` |\n| `observed[]` | as `include` | `TestA` |\n"
	tests := tests{"TestA": `func TestA() { "Case": {} }`, "TestB": ""}
	cases := map[string]struct {
		reason, page string
		want         []string
	}{
		"Whole":       {reason: "a page with everything is fine; a type that has its rows needs no second ones", page: whole + rest},
		"NoField":     {reason: "a field without a row", page: whole + "\n## Status\n\n| field | test |\n| --- | --- |\n| `observed[]` | `TestA` |\n", want: []string{"status.handled: no row"}},
		"Unknown":     {reason: "a row about what isn't a field", page: whole + "| `urll` | x | `TestA` |\n" + rest, want: []string{"spec.urll: not a field"}},
		"NoTest":      {reason: "a row without a test", page: whole + rest + "| `handled` | x | |\n", want: []string{"`handled`: names no test"}},
		"WrongTest":   {reason: "a test that isn't there", page: whole + rest + "| `handled` | x | `TestZ` |\n", want: []string{"`handled`: there is no TestZ"}},
		"WrongCase":   {reason: "a case that isn't there", page: whole + rest + "| `handled` | x | `TestA/Other` |\n", want: []string{"`handled`: TestA has no case Other"}},
		"OtherTables": {reason: "tables with a test column are held to it wherever they are", page: whole + rest + "\n## Annotations\n\n| annotation | test |\n| --- | --- |\n| `a` | `TestZ` |\n", want: []string{"`a`: there is no TestZ"}},
		"NoColumn":    {reason: "tables without a test column name no fields", page: whole + rest + "\n## Spec\n\n| field | meaning |\n| --- | --- |\n| `zzz` | x |\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := check(tc.page, reflect.TypeFor[spec](), reflect.TypeFor[status](), tests)
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
