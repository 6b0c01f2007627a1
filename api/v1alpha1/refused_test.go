package v1alpha1_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	// The least that an object of each kind says.
	module   = "{apiVersion: slipway.dev/v1alpha1, kind: Module, spec: {source: {oci: {url: 'oci://a/b'}}}}"
	revision = "{apiVersion: slipway.dev/v1alpha1, kind: ModuleRevision, spec: {module: m, number: 1, version: 1.0.0, digest: '" + digest +
		"', package: {name: p, url: u, digest: '" + digest + "'}, namespace: ns, steps: [], plan: {secret: s, digest: '" + digest +
		"', bytes: 1}, reversible: false}}"
	grant       = "{apiVersion: slipway.dev/v1alpha1, kind: ModuleGrant, spec: {}}"
	interpreter = "{apiVersion: slipway.dev/v1alpha1, kind: Interpreter, spec: {target: {group: g, kind: K}, health: [{state: Healthy}]}}"
	upgrade     = "{apiVersion: slipway.dev/v1alpha1, kind: AgentUpgrade, spec: {from: {version: '1', image: 'a@" + digest +
		"', slot: a}, to: {version: '2', image: 'a@" + digest + "', slot: b}}}"
)

// with merges a patch into an object, as kubectl patch --type=merge does.
func with(t *testing.T, text, patch string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatal(err)
	}
	var change map[string]any
	if err := yaml.Unmarshal([]byte(patch), &change); err != nil {
		t.Fatal(err)
	}
	merge(obj.Object, change)
	return obj
}

func merge(into, change map[string]any) {
	for key, value := range change {
		inner, isMap := value.(map[string]any)
		old, wasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			merge(old, inner)
		default:
			into[key] = value
		}
	}
}

func TestBadObjectsAreRefused(t *testing.T) {
	c, namespace := serve(t)
	cases := map[string]struct {
		reason, object, patch string
		// says are parts of what the person reads.
		says []string
	}{
		"TwoSources":       {"a package comes from one place", module, "{spec: {source: {git: {url: 'https://a/b'}}}}", []string{"spec.source", "name exactly one source: oci, git, chart, manifests or builtin"}},
		"NoSource":         {"and from one at least", module, "{spec: {source: {oci: null}}}", []string{"name exactly one source"}},
		"OCIURL":           {"not a registry", module, "{spec: {source: {oci: {url: 'https://a/b'}}}}", []string{"spec.source.oci.url", "oci://"}},
		"OCIDigest":        {"the version is elsewhere", module, "{spec: {source: {oci: {url: 'oci://a/b@" + digest + "'}}}}", []string{"spec.source.oci.url"}},
		"GitURL":           {"not a repository", module, "{spec: {source: {oci: null, git: {url: 'file:///etc'}}}}", []string{"spec.source.git.url"}},
		"GitPath":          {"a path out of the repository", module, "{spec: {source: {oci: null, git: {url: 'https://a/b', path: 'a/../..'}}}}", []string{"path is inside the repository"}},
		"ChartURL":         {"not a repository", module, "{spec: {source: {oci: null, chart: {repository: 'ftp://a', name: x}}}}", []string{"spec.source.chart.repository"}},
		"ManifestsURL":     {"not a web server", module, "{spec: {version: '1', source: {oci: null, manifests: {url: 'ftp://a'}}}}", []string{"spec.source.manifests.url"}},
		"ManifestsVersion": {"a web server has no versions", module, "{spec: {source: {oci: null, manifests: {url: 'https://a'}}}}", []string{"name one in version, or follow a catalogue"}},
		"ManifestsDigest":  {"not a digest", module, "{spec: {version: '1', source: {oci: null, manifests: {url: 'https://a', digest: abc}}}}", []string{"spec.source.manifests.digest", "sha256:"}},
		"BuiltinVersion":   {"what runs in the agent has its version", module, "{spec: {version: '1', source: {oci: null, builtin: {name: delivery}}}}", []string{"say them in a module with source.builtin.name agent"}},
		"BuiltinUpgrade":   {"and is upgraded with it", module, "{spec: {upgrade: {policy: Never}, source: {oci: null, builtin: {name: delivery}}}}", []string{"say them in a module with source.builtin.name agent"}},
		"BuiltinName":      {"no part of Slipway", module, "{spec: {source: {oci: null, builtin: {name: teleport}}}}", []string{"spec.source.builtin.name", `"agent", "delivery"`}},
		"BuiltinNamesake":  {"it would be in the place of the agent's own", module, "{metadata: {name: agent}}", []string{"the agent is a part of Slipway"}},
		"BuiltinTwice":     {"two would want two versions", module, "{spec: {source: {oci: null, builtin: {name: agent}}}}", []string{"there is one module of each part of Slipway"}},
		"BuiltinGrant":     {"nothing is written that could be granted", module, "{spec: {grantRef: {name: a}, source: {oci: null, builtin: {name: agent}}}}", []string{"leave out verify, namespace, values"}},
		"BuiltinVerify":    {"the agent's own policy says who signs it, and nothing in its place", module, "{metadata: {name: agent}, spec: {verify: {keysRef: {name: a}}, source: {oci: null, builtin: {name: agent}}}}", []string{"leave out verify"}},
		"BuiltinSecret":    {"nothing is fetched", module, "{spec: {source: {oci: null, builtin: {name: delivery, secretRef: {name: a}}}}}", []string{"leave out secretRef"}},
		"Catalogue":        {"a catalogue is in one place", module, "{spec: {catalogue: {channel: stable}}}", []string{"name exactly one place of the catalogue: configMap, oci or git"}},
		"CatalogueChannel": {"a catalogue has channels", module, "{spec: {catalogue: {configMap: {name: a}}}}", []string{"spec.catalogue.channel"}},
		"Verify":           {"keys or identities", module, "{spec: {verify: {}}}", []string{"say either keysRef (public keys) or identities"}},
		"Interval":         {"too often", module, "{spec: {interval: 1s}}", []string{"interval is at least 10s"}},
		"IntervalUnit":     {"no unit", module, "{spec: {interval: '10'}}", []string{"spec.interval"}},
		"Namespace":        {"not a name", module, "{spec: {namespace: Runners}}", []string{"spec.namespace"}},
		"Values":           {"values are a map", module, "{spec: {values: [1]}}", []string{"spec.values", "object"}},
		"ValuesFrom":       {"values of a kind that has none", module, "{spec: {valuesFrom: [{kind: Pod, name: a}]}}", []string{"spec.valuesFrom[0].kind", `"Secret", "ConfigMap"`}},
		"Policy":           {"a policy that isn't there", module, "{spec: {upgrade: {policy: Sometimes}}}", []string{"spec.upgrade.policy", `"Automatic", "Manual", "Never"`}},
		"WindowDay":        {"a day that isn't there", module, "{spec: {upgrade: {windows: [{days: [Monday], start: '02:00', duration: 1h}]}}}", []string{"spec.upgrade.windows[0].days[0]", `"Mon"`}},
		"WindowStart":      {"an hour that isn't there", module, "{spec: {upgrade: {windows: [{start: '24:00', duration: 1h}]}}}", []string{"spec.upgrade.windows[0].start"}},
		"WindowDuration":   {"no time at all", module, "{spec: {upgrade: {windows: [{start: '02:00', duration: 0s}]}}}", []string{"a window lasts from 1m to 168h"}},
		"MinAge":           {"more than a year", module, "{spec: {upgrade: {minAge: 9000h}}}", []string{"minAge is at most 8760h"}},
		"Deadline":         {"no time to start a pod", module, "{spec: {gate: {deadline: 1s}}}", []string{"deadline is from 10s to 24h"}},
		"Soak":             {"too long", module, "{spec: {gate: {soak: 25h}}}", []string{"soak is at most 24h"}},
		"SoakDeadline":     {"the soak doesn't fit", module, "{spec: {gate: {deadline: 5m, soak: 5m}}}", []string{"the deadline has to leave time for the soak"}},
		"EmptyCheck":       {"a check that asks nothing", module, "{spec: {gate: {checks: [{name: a}]}}}", []string{"a check asks either an object or a metric"}},
		"TwoChecks":        {"two of one name", module, "{spec: {gate: {checks: [{name: a, metric: {address: 'http://a', query: b, expression: c}}, {name: a, metric: {address: 'http://a', query: b, expression: c}}]}}}", []string{"Duplicate value"}},
		"Rollback":         {"a policy that isn't there", module, "{spec: {rollback: Never}}", []string{"spec.rollback", `"Automatic", "Manual"`}},
		"Itself":           {"it can't wait for itself", module, "{metadata: {name: itself}, spec: {dependsOn: [{module: itself}]}}", []string{"a module can't depend on itself"}},
		"History":          {"none to go back to", module, "{spec: {revisionHistoryLimit: 0}}", []string{"spec.revisionHistoryLimit"}},
		"Definitions":      {"a policy that isn't there", module, "{spec: {uninstall: {definitions: Burn}}}", []string{`"Keep", "Delete"`}},
		"LongName":         {"a name that is no label", module, "{metadata: {name: " + strings.Repeat("a", 64) + "}}", []string{"at most 63 characters"}},

		"Number":       {"revisions begin with 1", revision, "{spec: {number: 0}}", []string{"spec.number"}},
		"Digest":       {"not a digest", revision, "{spec: {digest: latest}}", []string{"spec.digest"}},
		"Step":         {"a step that isn't there", revision, "{spec: {steps: [{name: hooks, objects: 1, content: []}]}}", []string{"spec.steps[0].name", `"namespaces"`}},
		"TwoSteps":     {"one step twice", revision, "{spec: {steps: [{name: roles, objects: 1, content: []}, {name: roles, objects: 1, content: []}]}}", []string{"Duplicate value"}},
		"StepsMissing": {"nothing to apply", revision, "{spec: {steps: null}}", []string{"spec.steps"}},

		"RulesWithoutNamespace": {"rules that hold nowhere", grant, "{spec: {rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}}", []string{"rules hold in namespaces: name at least one, or use clusterRules"}},
		"AllAndOne":             {"all and one more", grant, "{spec: {namespaces: ['*', a]}}", []string{"the namespace * stands for all"}},
		"NamespacePattern":      {"a pattern", grant, "{spec: {namespaces: ['team-*']}}", []string{"spec.namespaces[0]"}},
		"AnyKind":               {"every kind there is", grant, "{spec: {clusterObjects: [{group: '', kind: '*'}]}}", []string{"spec.clusterObjects[0].kind"}},
		"PodSecurity":           {"a level that isn't there", grant, "{spec: {podSecurity: root}}", []string{`"restricted", "baseline", "privileged"`}},

		"TeachesNothing":   {"an interpreter that teaches nothing", interpreter, "{spec: {health: null}}", []string{"an interpreter teaches something: health, replicas, drained, dependencies or version"}},
		"HealthState":      {"a verdict that isn't there", interpreter, "{spec: {health: [{state: Fine}]}}", []string{"spec.health[0].state", `"Healthy"`}},
		"HealthReason":     {"a reason that is a sentence", interpreter, "{spec: {health: [{state: Healthy, reason: 'is fine'}]}}", []string{"spec.health[0].reason"}},
		"TargetKind":       {"a resource's name", interpreter, "{spec: {target: {kind: deployments}}}", []string{"spec.target.kind"}},
		"Priority":         {"too low", interpreter, "{spec: {priority: -1}}", []string{"spec.priority"}},
		"TestObject":       {"a test without an object", interpreter, "{spec: {tests: [{name: a, object: x, want: {health: Healthy}}]}}", []string{"spec.tests[0].object"}},
		"TestWantsNothing": {"a test that can't fail", interpreter, "{spec: {tests: [{name: a, object: {}, want: {}}]}}", []string{"spec.tests[0].want"}},

		"SameSlot":     {"two agents in one place", upgrade, "{spec: {to: {slot: a}}}", []string{"the new agent runs in the other slot"}},
		"NoDigest":     {"an image that may change", upgrade, "{spec: {to: {image: 'a:latest'}}}", []string{"spec.to.image"}},
		"Mode":         {"a way that isn't there", upgrade, "{spec: {mode: Hope}}", []string{`"Slots", "Recreate", "Advise"`}},
		"ProbeTimeout": {"no time at all", upgrade, "{spec: {probeTimeout: 1s}}", []string{"probeTimeout is from 10s to 1h"}},
		"ProveFor":     {"no time at all", upgrade, "{spec: {proveFor: 1s}}", []string{"proveFor is from 10s to 24h"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			obj := with(t, tc.object, tc.patch)
			if obj.GetName() == "" {
				obj.SetName("bad-" + strings.ToLower(name))
			}
			if obj.GetKind() == "AgentUpgrade" {
				obj.SetNamespace(namespace)
			}
			err := c.Create(t.Context(), obj)
			if err == nil {
				remove(t, c, obj)
				t.Fatalf("%s: it was taken", tc.reason)
			}
			if !errors.IsInvalid(err) {
				t.Errorf("%s: %v, want that it is invalid", tc.reason, err)
			}
			for _, part := range tc.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q isn't in: %v", tc.reason, part, err)
				}
			}
		})
	}
	t.Run("LeastIsEnough", func(t *testing.T) {
		for _, text := range []string{module, revision, grant, interpreter, upgrade} {
			obj := with(t, text, "{metadata: {name: least}}")
			if obj.GetKind() == "AgentUpgrade" {
				obj.SetNamespace(namespace)
			}
			if err := c.Create(t.Context(), obj); err != nil {
				t.Errorf("the bad ones above may be bad for another reason: %v", err)
			}
			remove(t, c, obj)
		}
	})
}

// TestWhatCannotChange: what is refused when it is changed, and what may be.
func TestWhatCannotChange(t *testing.T) {
	c, namespace := serve(t)
	cases := map[string]struct{ reason, object, change, says string }{
		"Namespace":     {"another namespace is another installation", "{spec: {namespace: a}}", "{spec: {namespace: b}}", "delete the module and create it again"},
		"NamespaceGone": {"and so is none", "{spec: {namespace: a}}", "{spec: {namespace: null}}", "delete the module and create it again"},
		"Builtin":       {"what is part of Slipway gets no package", "{metadata: {name: delivery}, spec: {source: {oci: null, builtin: {name: delivery}}}}", "{spec: {source: {builtin: null, oci: {url: 'oci://registry.example.com/a'}}}}", "delete this Module and create another"},
		"BuiltinOther":  {"nor become another part", "{metadata: {name: delivery}, spec: {source: {oci: null, builtin: {name: delivery}}}}", "{spec: {source: {builtin: {name: agent}}}}", "delete this Module and create another"},
		"Version":       {"another version is what upgrades are made of", "{spec: {version: '1'}}", "{spec: {version: '2'}}", ""},
		"Revision":      {"a revision is what it was", "{}", "{spec: {version: 2.0.0}}", "change the Module, and the agent makes another one"},
		"Upgrade":       {"an attempt is what it was", "{}", "{spec: {proveFor: 1m}}", "an attempt can't be changed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			kind := map[string]string{"Revision": revision, "Upgrade": upgrade}[name]
			if kind == "" {
				kind = module
			}
			obj := with(t, kind, tc.object)
			if obj.GetName() == "" {
				obj.SetName("change-" + strings.ToLower(name))
			}
			if obj.GetKind() == "AgentUpgrade" {
				obj.SetNamespace(namespace)
			}
			if err := c.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { remove(t, c, obj) })
			text, err := obj.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			err = c.Update(t.Context(), with(t, string(text), tc.change))
			switch {
			case tc.says == "" && err != nil:
				t.Errorf("%s: %v", tc.reason, err)
			case tc.says != "" && (!errors.IsInvalid(err) || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.says)
			}
		})
	}
}
