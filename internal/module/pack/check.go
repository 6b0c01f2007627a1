package pack

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/name"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// The most that a package.yaml may list. They are those of a Module's spec where that has the same list.
const (
	maxRequirements = 32
	maxImages       = 64
	maxChecks       = 32
	maxRules        = 256
	maxDescription  = 4096
)

// check returns all that is wrong with a manifest.
func (m Manifest) check() []error {
	c := &checker{}
	if m.APIVersion != APIVersion || m.Kind != Kind {
		c.addf("apiVersion", "it is a %.100q of %.100q: write apiVersion: %s and kind: %s", m.Kind, m.APIVersion, APIVersion, Kind)
	}
	c.label("name", m.Name)
	if m.Namespace != "" {
		c.label("namespace", m.Namespace)
	}
	if _, ok := parseVersion(m.Version); !ok || strings.HasPrefix(m.Version, "v") {
		c.addf("version", "%.100q is no version: write three numbers, such as 1.4.2", m.Version)
	}
	if len(m.Description) > maxDescription {
		c.addf("description", "it has %d bytes; %d are the limit", len(m.Description), maxDescription)
	}
	c.rangeOf("kubeVersion", m.KubeVersion)
	c.rangeOf("agent", m.Agent)
	c.requirements("requires", m.Name, m.Requires)
	c.requirements("conflicts", m.Name, m.Conflicts)
	c.permissions(m.Permissions)
	c.images(m.Images)
	c.gate(m.Gate)
	if m.Rollback != nil {
		c.rangeOf("rollback.to", m.Rollback.To)
	}
	if _, err := compileSchema(m.Schema); err != nil {
		c.addf("schema", "%v", err)
	}
	return c.problems
}

type checker struct{ problems []error }

func (c *checker) addf(field, format string, args ...any) {
	c.problems = append(c.problems, invalid(ManifestFile, field, format, args...))
}

func (c *checker) label(field, text string) {
	if len(validation.IsDNS1123Label(text)) > 0 {
		c.addf(field, "%.100q can't be a name: write lower-case letters, digits and hyphens, at most 63, a letter or digit at both ends", text)
	}
}

func (c *checker) rangeOf(field, text string) {
	if text == "" {
		return
	}
	if _, err := semver.NewConstraint(text); err != nil || len(text) > 256 {
		c.addf(field, "%.100q is no range of versions: write one such as \">=1.4 <2\" or \"~1.4\"", text)
	}
}

func (c *checker) requirements(field, self string, all []Requirement) {
	if len(all) > maxRequirements {
		c.addf(field, "there are %d; %d are the limit", len(all), maxRequirements)
		return
	}
	seen := map[string]bool{}
	for i, r := range all {
		at := fmt.Sprintf("%s[%d]", field, i)
		c.label(at+".name", r.Name)
		c.rangeOf(at+".version", r.Version)
		if r.Name == self {
			c.addf(at+".name", "a package can't have itself in its %s", field)
		}
		if seen[r.Name] {
			c.addf(at+".name", "%s is there twice: say all in one range", r.Name)
		}
		seen[r.Name] = true
	}
}

func (c *checker) permissions(p v1alpha1.Permissions) {
	if len(p.ClusterRules) > maxRules || len(p.NamespaceRules) > maxRules {
		c.addf("permissions", "there are more than %d rules", maxRules)
		return
	}
	for i, r := range p.ClusterRules {
		if len(r.Verbs) == 0 {
			c.addf(fmt.Sprintf("permissions.clusterRules[%d].verbs", i), "there is none: a rule without verbs allows nothing")
		}
	}
	for i, n := range p.NamespaceRules {
		at := fmt.Sprintf("permissions.namespaceRules[%d]", i)
		c.label(at+".namespace", n.Namespace)
		for j, r := range n.Rules {
			if len(r.Verbs) == 0 {
				c.addf(fmt.Sprintf("%s.rules[%d].verbs", at, j), "there is none: a rule without verbs allows nothing")
			}
		}
	}
}

func (c *checker) images(all []string) {
	if len(all) > maxImages {
		c.addf("images", "there are %d; %d are the limit", len(all), maxImages)
		return
	}
	for i, image := range all {
		if _, err := name.ParseReference(image); err != nil {
			c.addf(fmt.Sprintf("images[%d]", i), "%.200q is no image: write HOST/PATH:TAG or HOST/PATH@DIGEST", image)
		}
	}
}

// gate holds a gate to the rules that the API server has for that of a Module.
func (c *checker) gate(g v1alpha1.Gate) {
	const day = 24 * time.Hour
	deadline, soak := length(g.Deadline), length(g.Soak)
	if g.Deadline != nil && (deadline < 10*time.Second || deadline > day) {
		c.addf("gate.deadline", "%s isn't from 10s to 24h", deadline)
	}
	if g.Soak != nil && (soak < 0 || soak > day) {
		c.addf("gate.soak", "%s isn't from 0s to 24h", soak)
	}
	if g.Deadline != nil && g.Soak != nil && soak >= deadline {
		c.addf("gate.deadline", "it has to leave time for the soak: make it longer than %s", soak)
	}
	if len(g.Checks) > maxChecks {
		c.addf("gate.checks", "there are %d; %d are the limit", len(g.Checks), maxChecks)
		return
	}
	seen := map[string]bool{}
	for i, check := range g.Checks {
		at := fmt.Sprintf("gate.checks[%d]", i)
		if check.Name == "" || len(check.Name) > 63 || seen[check.Name] {
			c.addf(at+".name", "%.100q is empty, too long or there twice: give each check a name of its own, of at most 63 bytes", check.Name)
		}
		seen[check.Name] = true
		if (check.Object != nil) == (check.Metric != nil) {
			c.addf(at, "a check asks either an object or a metric: set one of them")
		}
		if o := check.Object; o != nil && (o.APIVersion == "" || o.Kind == "" || o.Name == "") {
			c.addf(at+".object", "apiVersion, kind and name are needed")
		}
		if m := check.Metric; m != nil {
			c.metric(at+".metric", *m)
		}
	}
}

func (c *checker) metric(at string, m v1alpha1.MetricCheck) {
	if u, err := url.Parse(m.Address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		c.addf(at+".address", "it is no address of a Prometheus server: write http(s)://HOST, and a login into a Secret")
	}
	if m.Query == "" || m.Expression == "" {
		c.addf(at, "query and expression are needed")
	}
	if m.SecretRef != nil {
		c.addf(at+".secretRef", "a package can't name Secrets of a cluster: let the Module's gate replace this check by its name")
	}
}

func length(d *metav1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.Duration
}
