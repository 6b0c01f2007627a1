package probe

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
)

// The names of checks.
const (
	// Started: the process has started, has understood its arguments and reached the API server.
	Started = "Started"
	// Permissions: the service account may do all that the agent's roles promise.
	Permissions = "Permissions"
	// Definitions: the objects of the kinds that it serves can be listed.
	Definitions = "Definitions"
)

const (
	// maxReport is what Kubernetes keeps of a termination message, in bytes.
	maxReport = 4096
	// maxMessage leaves room for all checks in one report, with JSON's escapes.
	maxMessage = 1000
)

// Report is what a probe has found. Its JSON is understood by older and newer versions: fields are only added.
type Report struct {
	Checks []v1alpha1.AgentCheck `json:"checks"`
}

// Passed says whether everything held, and anything was tried.
func (r Report) Passed() bool {
	return len(r.Checks) > 0 && !slices.ContainsFunc(r.Checks, func(c v1alpha1.AgentCheck) bool { return !c.Passed })
}

// Failures says in one line what didn't hold.
func (r Report) Failures() string {
	var said []string
	for _, c := range r.Checks {
		if !c.Passed {
			said = append(said, c.Name+": "+c.Message)
		}
	}
	return strings.Join(said, "; ")
}

// add notes a check. problems are cut to what fits.
func (r *Report) add(name string, at metav1.Time, good string, problems []string) {
	c := v1alpha1.AgentCheck{Name: name, At: at, Passed: len(problems) == 0, Message: good}
	if !c.Passed {
		c.Message = shorten(problems)
	}
	r.Checks = append(r.Checks, c)
}

// shorten joins as many problems as fit, and counts the rest.
func shorten(problems []string) string {
	said := ""
	for i, p := range problems {
		p = kube.Cut(p, maxMessage/2)
		if len(said)+len(p) > maxMessage {
			return fmt.Sprintf("%s; and %d more", said, len(problems)-i)
		}
		if said != "" {
			said += "; "
		}
		said += p
	}
	return said
}

// Encode returns the report as a termination message. Messages are left out if they don't fit.
func (r Report) Encode() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	if len(text) <= maxReport {
		return text, nil
	}
	short := Report{Checks: slices.Clone(r.Checks)}
	for i := range short.Checks {
		short.Checks[i].Message = kube.Cut(short.Checks[i].Message, maxReport/(8*len(short.Checks)))
	}
	return json.Marshal(short)
}

// Parse reads a termination message. One that is none of ours is an error.
func Parse(message string) (Report, error) {
	var r Report
	if err := json.Unmarshal([]byte(message), &r); err != nil {
		return Report{}, fmt.Errorf("the probe's result isn't one: %w", err)
	}
	if len(r.Checks) == 0 {
		return Report{}, fmt.Errorf("the probe's result has no checks")
	}
	for i := range r.Checks { // what strangers send must fit into a status
		r.Checks[i].Name, r.Checks[i].Message = kube.Cut(r.Checks[i].Name, 60), kube.Cut(r.Checks[i].Message, maxReport/2)
	}
	r.Checks = r.Checks[:min(len(r.Checks), 16)]
	return r, nil
}
