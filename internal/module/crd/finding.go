package crd

import (
	"cmp"
	"slices"
	"strings"
)

// Severity is what a finding means for the change.
type Severity string

const (
	// Unsafe findings endanger objects that exist or clients that run: the change must not be made as it is.
	Unsafe Severity = "unsafe"
	// Irreversible findings rule out going back by applying the former definition again.
	Irreversible Severity = "irreversible"
	// Note findings are worth knowing; none of them stands in the way.
	Note Severity = "note"
)

// Direction is the way that a finding is about.
type Direction string

const (
	// Forward is from the definition in the cluster to the next one.
	Forward Direction = "forward"
	// Backward is from the next definition back to the one in the cluster.
	Backward Direction = "backward"
)

// Finding is one thing that a change of a definition does.
type Finding struct {
	Severity  Severity  `json:"severity"`
	Direction Direction `json:"direction"`
	// Code names the kind of finding. It stays the same between releases.
	Code Code `json:"code"`
	// Version is the API version whose schema it is about, or two with an arrow where one is read as the other. Empty: the whole definition.
	Version string `json:"version,omitempty"`
	// Path is the place in the schema: .spec.renewal.windows[*].cron; [*] stands for the items of a list, .* for the values of a map.
	// Outside of the schema it is the field of the definition. Empty: the whole version.
	Path string `json:"path,omitempty"`
	// Message says what happens and what to do about it.
	Message string `json:"message"`
}

// String is the finding in one line.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(string(f.Severity))
	for _, part := range []string{f.Version, f.Path} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	return b.String() + ": " + f.Message + " (" + string(f.Code) + ")"
}

// Report is what Compare found, the gravest first.
type Report struct {
	// Name is the definition's: certificates.cert-manager.io.
	Name     string    `json:"name"`
	Findings []Finding `json:"findings,omitempty"`
}

// Safe is whether the next definition may be applied, in the steps that TwoStep makes.
func (r Report) Safe() bool { return !r.has(Unsafe) }

// Reversible is whether the former definition can be applied again until the commit. What was written in the meantime and only the
// next definition knows is lost then: the backward notes say where.
func (r Report) Reversible() bool { return !r.has(Irreversible) }

func (r Report) has(s Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == s })
}

// Of returns the findings of one direction.
func (r Report) Of(d Direction) []Finding {
	var of []Finding
	for _, f := range r.Findings {
		if f.Direction == d {
			of = append(of, f)
		}
	}
	return of
}

// add puts a finding into the report as the table of judgements has it; a code that the table leaves out of a direction is none there.
func (r *Report) add(d Direction, code Code, version, path, detail string) {
	j := judgements()[code]
	side := j.forward
	if d == Backward {
		side = j.backward
	}
	if side.severity == "" {
		return
	}
	r.Findings = append(r.Findings, Finding{
		Severity: side.severity, Direction: d, Code: code, Version: version, Path: path,
		Message: strings.ReplaceAll(side.message, "{}", detail),
	})
}

// sort makes the report the same for the same change.
func (r *Report) sort() {
	rank := map[Severity]int{Unsafe: 0, Irreversible: 1, Note: 2}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(rank[a.Severity], rank[b.Severity]), -cmp.Compare(a.Direction, b.Direction),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	r.Findings = slices.Compact(r.Findings)
}
