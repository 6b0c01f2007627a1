package wanted_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// now is a Saturday.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func installed(version string) *v1alpha1.RevisionReference {
	return &v1alpha1.RevisionReference{Version: version, Digest: "sha256:0", Revision: "runner-1"}
}

func policy(p v1alpha1.UpgradePolicy) *v1alpha1.Upgrade { return &v1alpha1.Upgrade{Policy: p} }

func minAge(d time.Duration) *v1alpha1.Upgrade {
	return &v1alpha1.Upgrade{MinAge: &metav1.Duration{Duration: d}}
}

// has lists versions; "1.5.0 3h" was published three hours ago.
func has(texts ...string) []wanted.Version {
	var all []wanted.Version
	for _, text := range texts {
		version, age, known := strings.Cut(text, " ")
		v := wanted.Version{Version: version, Digest: v1alpha1.Digest("sha256:of-" + version)}
		if known {
			d, err := time.ParseDuration(age)
			if err != nil {
				panic(err)
			}
			v.Published = now.Add(-d)
		}
		all = append(all, v)
	}
	return all
}

func TestChoose(t *testing.T) {
	cases := map[string]struct {
		reason  string
		ask     wanted.Question
		want    string
		back    bool
		why     string // a part
		problem string // a part
	}{
		"Newest":       {reason: "without anything said, the newest release", ask: wanted.Question{Available: has("1.4.2", "1.10.0", "1.9.9", "2.0.0-rc.1")}, want: "1.10.0", why: "newest in the source"},
		"InRange":      {reason: "the newest in the range", ask: wanted.Question{Range: "~1.4", Available: has("1.4.2", "1.4.10", "1.5.0")}, want: "1.4.10", why: `spec.version "~1.4"`},
		"Exact":        {reason: "one version, under the name that the source has for it", ask: wanted.Question{Range: "1.4.2", Available: has("v1.4.2", "v1.5.0")}, want: "v1.4.2"},
		"Before":       {reason: "a version before a release only where it is named", ask: wanted.Question{Range: ">=1.5.0-0", Available: has("1.4.2", "1.5.0-rc.1", "1.5.0-rc.2")}, want: "1.5.0-rc.2"},
		"NoTags":       {reason: "tags that move aren't versions", ask: wanted.Question{Available: has("latest", "2", "2.1", "1.4.2", "sha256-0.sig")}, want: "1.4.2"},
		"SameTwice":    {reason: "of two names for the same the one without v", ask: wanted.Question{Available: has("v1.4.2", "1.4.2")}, want: "1.4.2"},
		"InstalledV":   {reason: "the installed name stays: it is the same version", ask: wanted.Question{Available: has("v1.4.2", "1.4.2"), Current: installed("v1.4.2")}, want: "v1.4.2"},
		"Builds":       {reason: "builds of a version are the same version: the installed one stays", ask: wanted.Question{Available: has("1.4.2+b1", "1.4.2+b2"), Current: installed("1.4.2+b1")}, want: "1.4.2+b1"},
		"BuildsAnew":   {reason: "and without one it is always the same one", ask: wanted.Question{Available: has("1.4.2+b1", "1.4.2+b2")}, want: "1.4.2+b2"},
		"Upgrade":      {reason: "something newer", ask: wanted.Question{Range: ">=1.4 <2", Available: has("1.4.2", "1.5.0"), Current: installed("1.4.2")}, want: "1.5.0"},
		"Nothing new":  {reason: "what is installed is the newest", ask: wanted.Question{Range: ">=1.4 <2", Available: has("1.4.2", "2.0.0"), Current: installed("1.4.2")}, want: "1.4.2", why: "newest"},
		"Vanished":     {reason: "a tag that was deleted is no wish to go back", ask: wanted.Question{Range: ">=1.4 <2", Available: has("1.4.1", "1.4.0"), Current: installed("1.4.2")}, want: "1.4.2", why: "doesn't list it"},
		"VanishedAll":  {reason: "also if nothing is left", ask: wanted.Question{Range: ">=1.4 <2", Current: installed("1.4.2")}, want: "1.4.2", why: "doesn't list it"},
		"Back":         {reason: "a range without the installed version is a person's wish to go back", ask: wanted.Question{Range: "~1.4", Available: has("1.4.2", "1.5.0"), Current: installed("1.5.0")}, want: "1.4.2", back: true, why: "older than 1.5.0"},
		"FromNothing":  {reason: "what was installed isn't a version: anything is newer", ask: wanted.Question{Available: has("1.4.2"), Current: installed("main")}, want: "1.4.2"},
		"Never":        {reason: "policy Never", ask: wanted.Question{Available: has("1.4.2", "1.5.0"), Current: installed("1.4.2"), Upgrade: policy(v1alpha1.UpgradeNever)}, want: "1.4.2", why: "policy is Never"},
		"NeverMeant":   {reason: "policy Never also against the catalogue", ask: wanted.Question{Catalogued: "1.5.0", Available: has("1.4.2", "1.5.0"), Current: installed("1.4.2"), Upgrade: policy(v1alpha1.UpgradeNever)}, want: "1.4.2"},
		"NeverFirst":   {reason: "it doesn't hold up the first installation", ask: wanted.Question{Available: has("1.4.2"), Upgrade: policy(v1alpha1.UpgradeNever)}, want: "1.4.2"},
		"Manual":       {reason: "policy Manual chooses all the same: a person approves the plan", ask: wanted.Question{Available: has("1.5.0"), Current: installed("1.4.2"), Upgrade: policy(v1alpha1.UpgradeManual)}, want: "1.5.0"},
		"Young":        {reason: "the newest that is old enough, not the newest: who publishes each day would never be upgraded", ask: wanted.Question{Available: has("1.4.2 999h", "1.5.0 30h", "1.5.1 20h", "1.5.2 1h"), Current: installed("1.4.2"), Upgrade: minAge(24 * time.Hour)}, want: "1.5.0", why: "at least 24h old; 1.5.2 isn't yet"},
		"AllYoung":     {reason: "all too young: the newest is planned, and waits", ask: wanted.Question{Available: has("1.4.2 999h", "1.5.0 2h", "1.5.1 1h"), Current: installed("1.4.2"), Upgrade: minAge(24 * time.Hour)}, want: "1.5.1"},
		"OldNoBack":    {reason: "an older one that is old enough is no reason to go back", ask: wanted.Question{Available: has("1.4.0 999h", "1.4.2 1h"), Current: installed("1.4.2"), Upgrade: minAge(24 * time.Hour)}, want: "1.4.2"},
		"AgeUnknown":   {reason: "what wasn't fetched may be old enough", ask: wanted.Question{Available: has("1.4.2", "1.5.0"), Current: installed("1.4.2"), Upgrade: minAge(24 * time.Hour)}, want: "1.5.0"},
		"AgeFirst":     {reason: "the first installation prefers what is old enough", ask: wanted.Question{Available: has("1.5.0 30h", "1.5.1 1h"), Upgrade: minAge(24 * time.Hour)}, want: "1.5.0"},
		"AgeFirstOnly": {reason: "but isn't held up", ask: wanted.Question{Available: has("1.5.1 1h"), Upgrade: minAge(24 * time.Hour)}, want: "1.5.1"},
		"AgeExact":     {reason: "an age of exactly so much will do", ask: wanted.Question{Available: has("1.5.0 24h", "1.5.1 23h59m59s"), Current: installed("1.4.2"), Upgrade: minAge(24 * time.Hour)}, want: "1.5.0"},

		"Catalogue":         {reason: "the catalogue says it, not the source", ask: wanted.Question{Catalogued: "1.4.2", Available: has("1.4.2", "1.5.0")}, want: "1.4.2", why: "the catalogue says 1.4.2"},
		"CatalogueV":        {reason: "with v or without", ask: wanted.Question{Catalogued: "v1.4.2", Available: has("1.4.2")}, want: "1.4.2"},
		"CatalogueBack":     {reason: "the catalogue may go back", ask: wanted.Question{Catalogued: "1.4.2", Available: has("1.4.2", "1.5.0"), Current: installed("1.5.0")}, want: "1.4.2", back: true},
		"CatalogueBefore":   {reason: "the catalogue names it: that is enough without a range", ask: wanted.Question{Catalogued: "1.5.0-rc.1", Available: has("1.4.2", "1.5.0-rc.1")}, want: "1.5.0-rc.1"},
		"CatalogueInRange":  {reason: "the range bounds what the catalogue may say", ask: wanted.Question{Range: "~1.4", Catalogued: "1.4.2", Available: has("1.4.2", "1.4.3")}, want: "1.4.2"},
		"CatalogueBeyond":   {reason: "beyond the range is a problem, not a choice", ask: wanted.Question{Range: "~1.4", Catalogued: "1.5.0", Available: has("1.4.2", "1.5.0")}, problem: `isn't in spec.version "~1.4"`},
		"CatalogueBeyondRC": {reason: "and says why a version before a release isn't in it", ask: wanted.Question{Range: ">=1.4", Catalogued: "1.5.0-rc.1", Available: has("1.5.0-rc.1")}, problem: "comes before a release"},
		"CatalogueMissing":  {reason: "the source must have it", ask: wanted.Question{Catalogued: "1.4.3", Available: has("1.4.2")}, problem: "1.4.3, which the source doesn't have"},
		"CatalogueGone":     {reason: "what is installed needn't be listed any more", ask: wanted.Question{Catalogued: "1.4.2", Available: has("1.5.0"), Current: installed("1.4.2")}, want: "1.4.2", why: "doesn't list it"},
		"CatalogueNumber":   {reason: "YAML makes the number 1.1 of 1.10", ask: wanted.Question{Catalogued: "1.1", Available: has("1.10.0")}, problem: "put the version into quotes"},
		"CatalogueUnlisted": {reason: "a web server can't say what it has", ask: wanted.Question{Catalogued: "1.4.2", Unlisted: true}, want: "1.4.2"},

		"Unlisted":      {reason: "one version, as it is written: it is put into the URL", ask: wanted.Question{Range: "v1.4.2", Unlisted: true}, want: "v1.4.2"},
		"UnlistedRange": {reason: "a range of what nobody lists", ask: wanted.Question{Range: "~1.4", Unlisted: true}, problem: "no list of versions"},
		"UnlistedBack":  {reason: "a person names an older one", ask: wanted.Question{Range: "1.4.2", Unlisted: true, Current: installed("1.5.0")}, want: "1.4.2", back: true},

		"BadRange":  {reason: "what is no range", ask: wanted.Question{Range: "newest", Available: has("1.4.2")}, problem: `spec.version "newest" is neither`},
		"BadZone":   {reason: "a time zone that doesn't exist is told with the plan, and not when it is too late", ask: wanted.Question{Available: has("1.4.2"), Upgrade: windows("02:00", time.Hour, "Europe/Madird")}, problem: `windows[0].timeZone "Europe/Madird"`},
		"Empty":     {reason: "nothing published", ask: wanted.Question{}, problem: "no version: publish one"},
		"OnlyTags":  {reason: "nothing that is a version", ask: wanted.Question{Available: has("latest", "1.4")}, problem: "none of the 2 tags"},
		"OnlyRC":    {reason: "only versions before a release", ask: wanted.Question{Available: has("1.5.0-rc.1")}, problem: `">=1.5.0-0"`},
		"NoneIn":    {reason: "nothing in the range", ask: wanted.Question{Range: ">=3", Available: has("1.4.2", "2.0.0")}, problem: "the newest is 2.0.0"},
		"NoneInRC":  {reason: "a version before a release would have been in it", ask: wanted.Question{Range: ">=3", Available: has("2.0.0", "3.0.0-rc.1")}, problem: "3.0.0-rc.1 comes before a release"},
		"NoneInOld": {reason: "also if something is installed: a person narrowed the range to what isn't there", ask: wanted.Question{Range: ">=3", Available: has("2.0.0"), Current: installed("2.0.0")}, problem: "none of the 1 versions"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.ask.Now = now
			got := wanted.Choose(tc.ask)
			if got.Version != tc.want || got.Back != tc.back {
				t.Errorf("%s: got %+v, want %q (back: %t)", tc.reason, got, tc.want, tc.back)
			}
			if !strings.Contains(got.Why, tc.why) || !strings.Contains(got.Problem, tc.problem) {
				t.Errorf("%s: got %+v, want why %q, problem %q", tc.reason, got, tc.why, tc.problem)
			}
			if (got.Version == "") != (got.Problem != "") || (got.Why == "") == (got.Problem == "") {
				t.Errorf("%s: a choice has either a version with a reason, or a problem: %+v", tc.reason, got)
			}
			if got.Version != "" && slices.ContainsFunc(tc.ask.Available, func(v wanted.Version) bool { return v.Version == got.Version }) && strings.Contains(got.Why, "newest") && got.Digest != v1alpha1.Digest("sha256:of-"+got.Version) {
				t.Errorf("%s: the digest isn't the chosen version's: %+v", tc.reason, got)
			}
		})
	}
}

// TestChoiceHolds: whatever there is, what was chosen is there, is in the range, doesn't depend on the order, and is chosen again when it is
// installed.
func TestChoiceHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	ranges := []string{"", "1.2.3", "~1.2", ">=1.1 <2", "^1.0.0", ">=1.1.0-0", "<1.1 || >1.2", "1.x"}
	version := func() string {
		text := fmt.Sprintf("%d.%d.%d", random.IntN(3), random.IntN(4), random.IntN(4))
		if random.IntN(4) == 0 {
			text += fmt.Sprintf("-rc.%d", random.IntN(3))
		}
		if random.IntN(4) == 0 {
			text = "v" + text
		}
		return text
	}
	for range 4000 {
		q := wanted.Question{Range: ranges[random.IntN(len(ranges))], Now: now}
		for range random.IntN(8) {
			v := wanted.Version{Version: version()}
			if random.IntN(2) == 0 {
				v.Published = now.Add(-time.Duration(random.IntN(48)) * time.Hour)
			}
			q.Available = append(q.Available, v)
		}
		if random.IntN(2) == 0 {
			q.Current = installed(version())
		}
		if random.IntN(2) == 0 {
			q.Upgrade = minAge(24 * time.Hour)
		}
		among, err := wanted.ParseRange(q.Range)
		if err != nil {
			t.Fatal(err)
		}
		got := wanted.Choose(q)
		shuffled := q
		shuffled.Available = slices.Clone(q.Available)
		random.Shuffle(len(shuffled.Available), func(i, j int) {
			shuffled.Available[i], shuffled.Available[j] = shuffled.Available[j], shuffled.Available[i]
		})
		if again := wanted.Choose(shuffled); again.Version != got.Version || again.Problem != got.Problem {
			t.Fatalf("%+v: in another order %+v, and not %+v", q, again, got)
		}
		if got.Version == "" {
			continue
		}
		if !among.Has(got.Version) {
			t.Fatalf("%+v: %+v isn't in the range", q, got)
		}
		isThere := slices.ContainsFunc(q.Available, func(v wanted.Version) bool { return v.Version == got.Version })
		if !isThere && (q.Current == nil || q.Current.Version != got.Version) {
			t.Fatalf("%+v: %+v isn't there", q, got)
		}
		if q.Current != nil && among.Has(q.Current.Version) && got.Back {
			t.Fatalf("%+v: %+v goes back although what is installed is in the range", q, got)
		}
		q.Current = installed(got.Version)
		if again := wanted.Choose(q); q.Upgrade == nil && again.Version != got.Version {
			t.Fatalf("%+v: after %+v it wants %+v", q, got, again)
		}
	}
}
