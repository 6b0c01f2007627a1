package pack_test

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/module/pack"
)

// least is the shortest package.yaml.
const least = "apiVersion: slipway.dev/v1alpha1\nkind: Package\nname: runner\nversion: 1.4.2\n"

func TestManifestKeepsEveryField(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := pack.ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(m)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s isn't read: the file must set every field", v.Type().Field(i).Name)
		}
	}
	written, err := yaml.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pack.ParseManifest(written)
	if err != nil {
		t.Fatalf("what is written can't be read: %v\n%s", err, written)
	}
	if !reflect.DeepEqual(m, again) {
		t.Errorf("written and read again it is another one:\n%+v\n%+v", m, again)
	}
}

func TestLeastManifest(t *testing.T) {
	if _, err := pack.ParseManifest([]byte(least)); err != nil {
		t.Error(err)
	}
}

func TestBadManifestsAreRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   []string
	}{
		"Kind":           {reason: "another kind", text: "apiVersion: v1\nkind: ConfigMap\nname: a\nversion: 1.0.0\n", want: []string{"kind: Package"}},
		"NotYAML":        {reason: "no YAML at all", text: "a: [", want: []string{"no YAML"}},
		"Unknown":        {reason: "a field that there isn't", text: least + "colour: red\n", want: []string{"colour"}},
		"Case":           {reason: "a field in other letters is another field", text: least + "Namespace: a\n", want: []string{"Namespace"}},
		"Twice":          {reason: "a field that is there twice means one thing to one reader", text: least + "version: 1.4.3\n", want: []string{"version"}},
		"Name":           {reason: "names are labels", text: strings.Replace(least, "runner", "Runner_1", 1), want: []string{"name", "lower-case"}},
		"LongName":       {reason: "names have at most 63 characters", text: strings.Replace(least, "runner", strings.Repeat("a", 64), 1), want: []string{"name"}},
		"Version":        {reason: "two numbers are a version that moves", text: strings.Replace(least, "1.4.2", `"1.4"`, 1), want: []string{"version", "1.4.2"}},
		"VersionV":       {reason: "v belongs to tags", text: strings.Replace(least, "1.4.2", "v1.4.2", 1), want: []string{"version"}},
		"NoVersion":      {reason: "there is no version", text: strings.Replace(least, "version: 1.4.2\n", "", 1), want: []string{"version"}},
		"Description":    {reason: "a description isn't a book", text: least + "description: " + strings.Repeat("a", 5000) + "\n", want: []string{"description"}},
		"Namespace":      {reason: "no namespace has such a name", text: least + "namespace: A\n", want: []string{"namespace"}},
		"KubeVersion":    {reason: "no range", text: least + "kubeVersion: newest\n", want: []string{"kubeVersion", "range"}},
		"Agent":          {reason: "no range", text: least + "agent: newest\n", want: []string{"agent", "range"}},
		"Requires":       {reason: "a requirement without a name", text: least + "requires: [{version: '>=1'}]\n", want: []string{"requires[0].name"}},
		"RequiresRange":  {reason: "no range", text: least + "requires: [{name: a, version: newest}]\n", want: []string{"requires[0].version"}},
		"RequiresItself": {reason: "it would never be installed", text: least + "requires: [{name: runner}]\n", want: []string{"requires[0].name", "itself"}},
		"RequiresTwice":  {reason: "two ranges for one package", text: least + "requires: [{name: a}, {name: a}]\n", want: []string{"requires[1].name", "twice"}},
		"Conflicts":      {reason: "a conflict without a name", text: least + "conflicts: [{version: '>=1'}]\n", want: []string{"conflicts[0].name"}},
		"Verbs":          {reason: "a rule that allows nothing is a mistake", text: least + "permissions: {clusterRules: [{apiGroups: [''], resources: [pods], verbs: []}]}\n", want: []string{"clusterRules[0].verbs"}},
		"RulesNamespace": {reason: "rights in no namespace", text: least + "permissions: {namespaceRules: [{namespace: '', rules: []}]}\n", want: []string{"namespaceRules[0].namespace"}},
		"Schema":         {reason: "no JSON schema", text: least + "schema: {type: 5}\n", want: []string{"schema"}},
		"SchemaFile":     {reason: "a schema must not have us read the agent's disk", text: least + "schema: {$ref: 'file:///etc/passwd'}\n", want: []string{"schema", "$defs"}},
		"SchemaHTTP":     {reason: "nor ask other hosts", text: least + "schema: {properties: {a: {$ref: 'http://127.0.0.1:1/x.json'}}}\n", want: []string{"schema", "$defs"}},
		"Images":         {reason: "no image", text: least + "images: ['a b']\n", want: []string{"images[0]"}},
		"Deadline":       {reason: "too short", text: least + "gate: {deadline: 1s}\n", want: []string{"gate.deadline"}},
		"Soak":           {reason: "too long", text: least + "gate: {soak: 48h}\n", want: []string{"gate.soak"}},
		"SoakDeadline":   {reason: "the soak would never end in time", text: least + "gate: {deadline: 1m, soak: 5m}\n", want: []string{"gate.deadline", "soak"}},
		"EmptyCheck":     {reason: "a check of nothing", text: least + "gate: {checks: [{name: a}]}\n", want: []string{"gate.checks[0]"}},
		"ObjectCheck":    {reason: "an object without a name", text: least + "gate: {checks: [{name: a, object: {apiVersion: v1, kind: Pod, name: ''}}]}\n", want: []string{"gate.checks[0].object"}},
		"MetricLogin":    {reason: "a login in the address would be seen by all", text: least + "gate: {checks: [{name: a, metric: {address: 'http://a:secret@b', query: q, expression: e}}]}\n", want: []string{"gate.checks[0].metric.address"}},
		"MetricSecret":   {reason: "a package doesn't know the Secrets of a cluster", text: least + "gate: {checks: [{name: a, metric: {address: 'http://b', query: q, expression: e, secretRef: {name: s}}}]}\n", want: []string{"gate.checks[0].metric.secretRef"}},
		"RollbackTo":     {reason: "no range", text: least + "rollback: {to: old}\n", want: []string{"rollback.to"}},
		"Published":      {reason: "no time", text: least + "published: yesterday\n", want: []string{"time"}},
		"Several":        {reason: "all that is wrong is told at once", text: "apiVersion: slipway.dev/v1alpha1\nkind: Package\nname: A\nversion: one\n", want: []string{"name", "version"}},
		"Large":          {reason: "bounded", text: least + "description: |\n  " + strings.Repeat("a", 2<<20), want: []string{"bytes"}},
		"Bomb": {reason: "aliases that would be gigabytes", text: least + "values:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n  c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n" +
			"  d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n  e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n  f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\n  g: [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]\n", want: []string{"package.yaml"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := pack.ParseManifest([]byte(c.text))
			var bad *pack.Invalid
			if !errors.As(err, &bad) {
				t.Fatalf("%s: got %v, want an *Invalid", c.reason, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q doesn't say %q", c.reason, err, want)
				}
			}
			if strings.Contains(err.Error(), "secret@") {
				t.Errorf("%q shows a login", err)
			}
		})
	}
}

func TestReversible(t *testing.T) {
	cases := map[string]struct {
		reason   string
		rollback *pack.Rollback
		from     string
		want     bool
	}{
		"NotDeclared": {reason: "who says nothing declares nothing", from: "1.4.1"},
		"Any":         {reason: "declared without a range", rollback: &pack.Rollback{}, from: "0.1.0", want: true},
		"InRange":     {reason: "the range has it", rollback: &pack.Rollback{To: ">=1.2"}, from: "1.4.1", want: true},
		"OutOfRange":  {reason: "the range doesn't have it", rollback: &pack.Rollback{To: ">=1.2"}, from: "1.1.0"},
		"Stateful":    {reason: "what was stored can't be read any more", rollback: &pack.Rollback{Stateful: true}, from: "1.4.1"},
		"First":       {reason: "there is nothing to go back to", rollback: &pack.Rollback{To: ">=1.2"}, want: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, why := pack.Manifest{Name: "runner", Version: "1.4.2", Rollback: c.rollback}.Reversible(c.from)
			if got != c.want || got == (why != "") {
				t.Errorf("%s: got %t because %q, want %t", c.reason, got, why, c.want)
			}
		})
	}
}

func TestInRange(t *testing.T) {
	cases := map[string]struct {
		reason, wanted, version string
		want                    bool
	}{
		"Any":     {reason: "no range", version: "1.0.0", want: true},
		"In":      {reason: "in it", wanted: ">=1.30 <2", version: "v1.36.2", want: true},
		"Out":     {reason: "below it", wanted: ">=1.30", version: "v1.29.0"},
		"Maker":   {reason: "who made a Kubernetes says nothing of its age", wanted: ">=1.30", version: "v1.34.1-eks-113cf36", want: true},
		"NoRange": {reason: "nothing is in what is no range", wanted: "newest", version: "1.0.0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := pack.InRange(c.wanted, c.version); got != c.want {
				t.Errorf("%s: got %t", c.reason, got)
			}
		})
	}
}
