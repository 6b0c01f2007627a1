package interpret

import (
	"errors"
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/internal/health"
)

var boat = Target{Group: "example.org", Kind: "Boat"}

func priority(n int32) *int32 { return &n }

func TestCompileSaysAllThatIsWrong(t *testing.T) {
	always := []Rule{{State: health.Healthy}}
	cases := map[string]struct {
		reason string
		def    Definition
		want   []string // each in an error of its own, in this order
	}{
		"Everything": {
			reason: "whoever writes one wants to hear of all mistakes at once, each with its place",
			def: Definition{
				Target: boat,
				Health: []Rule{
					{State: "Fine", When: "self.("},
					{State: health.Healthy, When: "other.x", Reason: "not a word", Message: "1 + 1"},
				},
				Replicas: "'three'", Drained: "1", Dependencies: "{}", Version: "true",
			},
			want: []string{
				"health[0].state", "health[0].when", "health[1].when", "health[1].reason", "health[1].message",
				"replicas", "drained", "dependencies", "version",
			},
		},
		"Nothing":      {reason: "an interpreter that says nothing is a mistake", def: Definition{Target: boat}, want: []string{"says nothing"}},
		"Group":        {reason: "a group is a domain", def: Definition{Target: Target{Group: "Not.A Group", Kind: "Boat"}, Health: always}, want: []string{"target.group"}},
		"Kind":         {reason: "a kind is a word", def: Definition{Target: Target{Group: "example.org", Kind: "a b"}, Health: always}, want: []string{"target.kind"}},
		"Version":      {reason: "a version is a word", def: Definition{Target: Target{Group: "example.org", Kind: "Boat", Versions: []string{"v1", "1"}}, Health: always}, want: []string{"target.versions[1]"}},
		"Priority":     {reason: "priorities have bounds", def: Definition{Target: boat, Health: always, Priority: priority(-1)}, want: []string{"priority"}},
		"Secret":       {reason: "a message would show what is in it", def: Definition{Target: Target{Kind: "Secret"}, Health: always, Priority: priority(PriorityLocal)}, want: []string{"Secrets are not interpreted"}},
		"OfKubernetes": {reason: "a package must not change what a Deployment's health is", def: Definition{Target: Target{Group: "apps", Kind: "Deployment"}, Health: always}, want: []string{"kinds of Kubernetes itself"}},
		"AllOfK8s":     {reason: "nor all kinds of a domain of Kubernetes", def: Definition{Target: Target{Group: "*.k8s.io", Kind: "*"}, Health: always}, want: []string{"kinds of Kubernetes itself"}},
		"AllOfIO":      {reason: "nor all of a domain above it", def: Definition{Target: Target{Group: "*.io", Kind: "*"}, Health: always}, want: []string{"kinds of Kubernetes itself"}},
		"TooLong":      {reason: "texts are bounded", def: Definition{Target: boat, Version: "'" + strings.Repeat("x", 17<<10) + "'"}, want: []string{"version: the expression has"}},
		"TooMany":      {reason: "rules are bounded", def: Definition{Target: boat, Health: make([]Rule, 33)}, want: []string{"33 rules"}},
		"TooCostly": {
			reason: "what would be too costly on an ordinary object is refused when it is written",
			def:    Definition{Target: boat, Drained: "self.crew.all(a, self.crew.all(b, self.crew.all(c, a != b && b != c)))"},
			want:   []string{"drained: the expression could cost"},
		},
		"TooNested": {
			reason: "what would multiply what it reads is refused when it is written",
			def:    Definition{Target: boat, Version: "string(" + strings.Repeat("[", 12) + "self,self" + strings.Repeat(",self,self]", 12) + " == [])"},
			want:   []string{"version: the expression puts values into lists and maps"},
		},
		"Tests": {
			reason: "a test that proves nothing is a mistake",
			def: Definition{Target: boat, Health: always, Tests: []Test{
				{Object: map[string]any{"kind": "Boat"}},
				{Name: "a", Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Boat"}},
				{Name: "a", Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Boat"}, Want: Want{Health: health.Healthy}},
				{Name: "b", Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Ship"}, Want: Want{Health: health.Healthy}},
				{Name: "c", Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Boat"}, Want: Want{Health: "Fine"}},
				{Name: "d", Want: Want{Health: health.Healthy}},
			}},
			want: []string{"tests[0]", "tests[1]", "tests[2]", "tests[3]", "tests[4]", "tests[5]"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(tc.def)
			var invalid *Invalid
			if !errors.As(err, &invalid) {
				t.Fatalf("%s: got %v", tc.reason, err)
			}
			if len(invalid.Errors) != len(tc.want) {
				t.Fatalf("%s: want %d errors, got %d:\n%v", tc.reason, len(tc.want), len(invalid.Errors), err)
			}
			for n, want := range tc.want {
				if !strings.Contains(invalid.Errors[n].Error(), want) {
					t.Errorf("%s: error %d is %q, want %q in it", tc.reason, n, invalid.Errors[n], want)
				}
			}
		})
	}
}

func TestCompileTakes(t *testing.T) {
	for name, d := range map[string]Definition{
		"a local rule for a kind of Kubernetes": {Target: Target{Group: "apps", Kind: "Deployment"}, Health: []Rule{{State: health.Healthy}}, Priority: priority(PriorityLocal)},
		"the Gateway API":                       {Target: Target{Group: "gateway.networking.k8s.io", Kind: "Gateway"}, Health: []Rule{{State: health.Healthy}}},
		"all kinds of groups that end alike":    {Target: Target{Group: "*.example.org", Kind: "*"}, Health: []Rule{{State: health.Healthy}}},
		"what may not be known":                 {Target: boat, Drained: "self.?status.?jobs.optMap(n, n == 0)", Version: "self.?status.?version"},
	} {
		if _, err := Compile(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Everything that is wrong with a definition is told at once, one fault each; its tests are run only where they can be.
func TestExamine(t *testing.T) {
	good := Definition{Target: boat, Health: []Rule{{State: health.Healthy}}}
	broken := good
	broken.Drained, broken.Version = "nothing.here", "1 +"
	afloat := map[string]any{"apiVersion": "example.org/v1", "kind": "Boat"}
	failing := good
	failing.Tests = []Test{
		{Name: "one", Object: afloat, Want: Want{Health: health.Degraded}}, {Name: "two", Object: afloat, Want: Want{Health: health.Degraded}},
	}
	for name, c := range map[string]struct {
		d      Definition
		usable bool
		wrong  int
	}{"Good": {good, true, 0}, "Broken": {broken, false, 2}, "Failing": {failing, true, 2}} {
		t.Run(name, func(t *testing.T) {
			if i, wrong := Examine(c.d); len(wrong) != c.wrong || (i != nil) != c.usable {
				t.Errorf("got %v, usable %t; want %d faults, usable %t", wrong, i != nil, c.wrong, c.usable)
			}
		})
	}
}
