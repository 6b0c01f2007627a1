package crd_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/module/crd"
)

// converted has a webhook of that service convert.
func converted(service string) func(*definition) {
	return func(d *definition) {
		d.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{
			Strategy: apiextensionsv1.WebhookConverter,
			Webhook: &apiextensionsv1.WebhookConversion{
				ConversionReviewVersions: []string{"v1"},
				ClientConfig:             &apiextensionsv1.WebhookClientConfig{Service: &apiextensionsv1.ServiceReference{Namespace: "harbour", Name: service}},
			},
		}
	}
}

func named(d *definition, plural, kind, group string, edits ...func(*definition)) *definition {
	d = d.DeepCopy()
	d.Spec.Group, d.Spec.Names = group, apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Kind: kind}
	d.Name = plural + "." + group
	for _, edit := range edits {
		edit(d)
	}
	return d
}

func TestDefinition(t *testing.T) {
	short := func(names ...string) func(*definition) {
		return func(d *definition) { d.Spec.Names.ShortNames = names }
	}
	category := func(names ...string) func(*definition) {
		return func(d *definition) { d.Spec.Names.Categories = names }
	}
	subresources := func(s *apiextensionsv1.CustomResourceSubresources) func(*definition) {
		return func(d *definition) { d.Spec.Versions[0].Subresources = s }
	}
	status := &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}}
	scope := func(d *definition) { d.Spec.Scope = apiextensionsv1.ClusterScoped }
	big := func(bytes int) func(*definition) {
		return func(d *definition) {
			d.Spec.Versions[0].Schema.OpenAPIV3Schema.Description = strings.Repeat("x", bytes)
		}
	}
	made := func(words string, edits ...func(*definition)) *definition { return ship(t, words, nil, edits...) }
	a, ab := "{type: object, properties: {a: {type: string}}}", "{type: object, properties: {a: {type: string}, b: {type: string}}}"

	cases := map[string]struct {
		reason           string
		change           crd.Change
		want             []string
		safe, reversible bool
	}{
		"new":     {"there is nothing to endanger", crd.Change{Next: made("v1")}, []string{"backward note DefinitionAdded"}, true, true},
		"removed": {"deleting it deletes its objects", crd.Change{Live: live(made("v1"))}, []string{"backward irreversible DefinitionRemoved", "forward unsafe DefinitionRemoved"}, false, false},
		"defaults of the API server": {"what it fills in is no change", crd.Change{Live: live(made("v1", func(d *definition) {
			d.Spec.Names.Singular, d.Spec.Names.ListKind = "ship", "ShipList"
			d.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.NoneConverter}
		})), Next: made("v1")}, nil, true, true},
		"scope":       {"the API server refuses it", crd.Change{Live: live(made("v1")), Next: made("v1", scope)}, []string{"backward irreversible ScopeChanged spec.scope", "forward unsafe ScopeChanged spec.scope"}, false, false},
		"kind":        {"stored objects carry the old one", crd.Change{Live: live(made("v1")), Next: made("v1", func(d *definition) { d.Spec.Names.Kind = "Boat" })}, []string{"backward irreversible KindChanged spec.names.kind", "forward unsafe KindChanged spec.names.kind"}, false, false},
		"short names": {"scripts use them", crd.Change{Live: live(made("v1", short("sh", "s"))), Next: made("v1", short("s", "t"))}, []string{"backward note NameDropped spec.names.shortNames", "forward note NameDropped spec.names.shortNames"}, true, true},
		"categories":  {"scripts use them", crd.Change{Live: live(made("v1", category("all"))), Next: made("v1")}, []string{"forward note NameDropped spec.names.categories"}, true, true},
		"short name taken in the group": {
			"the API server doesn't establish the second",
			crd.Change{Next: made("v1", short("b")), Others: []*definition{named(made("v1"), "boats", "Boat", "harbour.test", short("b"))}},
			[]string{"backward note DefinitionAdded", "forward unsafe NameTaken spec.names"},
			false, true,
		},
		"kind taken in the group": {
			"the same for kinds, also those of lists",
			crd.Change{Next: made("v1"), Others: []*definition{named(made("v1"), "boats", "ShipList", "harbour.test")}},
			[]string{"backward note DefinitionAdded", "forward unsafe NameTaken spec.names.kind"},
			false, true,
		},
		"short name of another group": {
			"kubectl takes one of them",
			crd.Change{Next: made("v1", short("b")), Others: []*definition{named(made("v1"), "boats", "Boat", "sea.test", short("b"))}},
			[]string{"backward note DefinitionAdded", "forward note NameShadowed spec.names"},
			true, true,
		},
		"shadowed before": {
			"what was so before isn't the change's doing", crd.Change{
				Live: live(made("v1", short("b"))), Next: made("v1", short("b")),
				Others: []*definition{named(made("v1"), "boats", "Boat", "sea.test", short("b")), made("v1", short("b"))},
			}, nil, true, true,
		},
		"category of a name":   {"it hides the name", crd.Change{Next: made("v1", category("boats")), Others: []*definition{named(made("v1"), "boats", "Boat", "sea.test")}}, []string{"backward note DefinitionAdded", "forward note NameShadowed spec.names.categories"}, true, true},
		"version added":        {"clients may begin to use it", crd.Change{Live: live(made("v1beta1")), Next: made("v1beta1 v1+")}, []string{"backward note VersionAdded v1"}, true, true},
		"version removed":      {"nobody is known to use it", crd.Change{Live: live(made("v1beta1+ v1")), Next: made("v1beta1! v1")}, []string{"forward note VersionRemoved v1beta1"}, true, true},
		"version in use":       {"somebody is known", crd.Change{Live: live(made("v1beta1+ v1")), Next: made("v1"), Used: []crd.Use{{Version: "v1beta1", By: "module flagger"}}}, []string{"forward unsafe VersionInUse v1beta1"}, false, true},
		"version deprecated":   {"time to move", crd.Change{Live: live(made("v1")), Next: made("v1", func(d *definition) { d.Spec.Versions[0].Deprecated = true })}, []string{"forward note VersionDeprecated v1"}, true, true},
		"storage moves":        {"in two steps", crd.Change{Live: live(made("v1beta1 v1+")), Next: made("v1beta1+ v1")}, []string{"backward note StorageMoves spec.versions", "forward note StorageMoves spec.versions"}, true, true},
		"stored version goes":  {"it stays until the commit", crd.Change{Live: live(made("v1beta1 v1+")), Next: made("v1")}, []string{"backward note StorageMoves spec.versions", "forward note StorageMoves spec.versions", "forward note StoredVersionRewritten v1beta1", "forward note VersionRemoved v1beta1"}, true, true},
		"old stored version":   {"the API server remembers more than one", crd.Change{Live: live(made("v1beta1! v1"), "v1beta1"), Next: made("v1")}, []string{"forward note StoredVersionRewritten v1beta1"}, true, true},
		"stored, with webhook": {"the new webhook may not know it", crd.Change{Live: live(made("v1beta1 v1+", converted("a"))), Next: made("v1", converted("a")), ConvertsBack: true}, []string{"backward irreversible StoredVersionRemoved v1beta1", "backward note ConversionDeclared spec.conversion", "backward note StorageMoves spec.versions", "forward note StorageMoves spec.versions", "forward note VersionRemoved v1beta1", "forward unsafe StoredVersionRemoved v1beta1"}, false, false},
		"webhook":              {"nobody says that it converts back", crd.Change{Live: live(made("v1beta1+ v1", converted("a"))), Next: made("v1beta1+ v1", converted("a"))}, []string{"backward irreversible ConversionWebhook spec.conversion"}, true, false},
		"webhook declared":     {"its author says so", crd.Change{Live: live(made("v1beta1+ v1", converted("a"))), Next: made("v1beta1+ v1", converted("a")), ConvertsBack: true}, []string{"backward note ConversionDeclared spec.conversion"}, true, true},
		"webhook never asked":  {"one version needs no conversion", crd.Change{Live: live(made("v1", converted("a"))), Next: made("v1", converted("b"))}, nil, true, true},
		"webhook moved":        {"until it answers there", crd.Change{Live: live(made("v1beta1+ v1", converted("a"))), Next: made("v1beta1+ v1", converted("b")), ConvertsBack: true}, []string{"backward note ConversionDeclared spec.conversion", "backward note ConversionMoved spec.conversion", "forward note ConversionMoved spec.conversion"}, true, true},
		"webhook dropped":      {"versions differ in more than their names", crd.Change{Live: live(made("v1beta1+ v1", converted("a"))), Next: made("v1beta1+ v1")}, []string{"forward unsafe ConversionDropped spec.conversion"}, false, true},
		"status dropped":       {"its controller can't write it", crd.Change{Live: live(made("v1", subresources(status))), Next: made("v1")}, []string{"backward note SubresourceAdded v1 subresources.status", "forward unsafe SubresourceRemoved v1 subresources.status"}, false, true},
		"status added":         {"writes to the object don't reach it", crd.Change{Live: live(made("v1")), Next: made("v1", subresources(status))}, []string{"backward note SubresourceRemoved v1 subresources.status", "forward note SubresourceAdded v1 subresources.status"}, true, true},
		"selector dropped": {"field selectors fail", crd.Change{Live: live(made("v1", func(d *definition) {
			d.Spec.Versions[0].SelectableFields = []apiextensionsv1.SelectableField{{JSONPath: ".spec.a"}}
		})), Next: made("v1")}, []string{"forward note SelectorRemoved v1 .spec.a"}, true, true},
		"unknown fields of all": {"they were kept everywhere", crd.Change{Live: live(made("v1", func(d *definition) { d.Spec.PreserveUnknownFields = true })), Next: made("v1")}, []string{"forward unsafe UnknownFieldsDropped spec.preserveUnknownFields"}, false, true},
		"large":                 {"a Secret doesn't hold it", crd.Change{Next: made("v1", big(1100<<10))}, []string{"backward note DefinitionAdded", "forward note Large"}, true, true},
		"too large":             {"etcd doesn't take it", crd.Change{Next: made("v1", big(1600<<10))}, []string{"backward note DefinitionAdded", "forward unsafe TooLarge"}, false, true},
		"too large with managers": {"the record of managers counts", crd.Change{Live: live(made("v1", func(d *definition) {
			record, _ := json.Marshal(strings.Repeat("x", 400<<10))
			d.ManagedFields = []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(string(record))}}
		})), Next: made("v1", big(1200<<10))}, []string{"forward unsafe TooLarge"}, false, true},
		"new version has more": {"until the commit the old version stores", crd.Change{
			Live: live(ship(t, "v1beta1", map[string]string{"v1beta1": a})),
			Next: ship(t, "v1beta1+ v1", map[string]string{"v1beta1": a, "v1": ab}),
		}, []string{"backward note DroppedUntilCommit v1beta1→v1 .spec.b", "backward note StorageMoves spec.versions", "backward note VersionAdded v1", "forward note StorageMoves spec.versions"}, true, true},
		"new version has less": {"the commit would drop it", crd.Change{
			Live: live(ship(t, "v1beta1", map[string]string{"v1beta1": ab})),
			Next: ship(t, "v1beta1+ v1", map[string]string{"v1beta1": ab, "v1": a}),
		}, []string{"backward note StorageMoves spec.versions", "backward note VersionAdded v1", "forward note StorageMoves spec.versions", "forward unsafe FieldRemoved v1beta1→v1 .spec.b"}, false, true},
		"versions converted": {"differences are the webhook's business", crd.Change{
			Live: live(ship(t, "v1beta1", map[string]string{"v1beta1": ab})),
			Next: ship(t, "v1beta1+ v1", map[string]string{"v1beta1": ab, "v1": a}, converted("a")), ConvertsBack: true,
		}, []string{"backward note ConversionDeclared spec.conversion", "backward note StorageMoves spec.versions", "backward note VersionAdded v1", "forward note StorageMoves spec.versions"}, true, true},
		"unserved and empty": {"nobody has such objects", crd.Change{
			Live: live(ship(t, "v1alpha1! v1", map[string]string{"v1alpha1": ab})),
			Next: ship(t, "v1alpha1! v1", map[string]string{"v1alpha1": a}),
		}, nil, true, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := compare(t, tc.change)
			if diff := cmp.Diff(tc.want, lines(r), cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if r.Safe() != tc.safe || r.Reversible() != tc.reversible {
				t.Errorf("%s: safe %t, reversible %t; want %t, %t", tc.reason, r.Safe(), r.Reversible(), tc.safe, tc.reversible)
			}
		})
	}
}

func TestNothingToCompare(t *testing.T) {
	if _, err := crd.Compare(crd.Change{}); !errors.Is(err, crd.ErrNothing) {
		t.Errorf("without definitions: %v", err)
	}
	d := ship(t, "v1", nil)
	if _, err := crd.Compare(crd.Change{Live: d, Next: named(d, "boats", "Boat", "harbour.test")}); !errors.Is(err, crd.ErrNotSame) {
		t.Errorf("of two definitions: %v", err)
	}
	if _, err := crd.TwoStep(d, nil); !errors.Is(err, crd.ErrRemoved) {
		t.Errorf("steps to nothing: %v", err)
	}
}

// Everything that is found can be read by a person: it names who, where, and has a sentence without holes.
func TestFindingsAreSentences(t *testing.T) {
	r := compare(t, crd.Change{Live: live(read(t, "flagger/canaries-v1.30.0.yaml")), Next: read(t, "flagger/canaries-v1.41.0.yaml")})
	for _, f := range r.Findings {
		if f.Message == "" || strings.Contains(f.Message, "{}") || strings.Contains(f.Message, "()") || !strings.Contains(f.String(), f.Path) {
			t.Errorf("not a sentence: %s", f)
		}
	}
	text, err := json.Marshal(r)
	var back crd.Report
	if err != nil || json.Unmarshal(text, &back) != nil || !cmp.Equal(r, back) {
		t.Errorf("as JSON: %s (%v)", text, err)
	}
}
