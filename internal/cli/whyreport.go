package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/build/provenance"
	"github.com/slipway-dev/slipway/internal/history"
	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	hiddenValue = "***"
	missing     = "(not there)"
	setterAgent = "the agent, to know its objects"
)

// whyReport is the answer of why.
type whyReport struct {
	Object        string               `json:"object"`
	Kustomization *tracedKustomization `json:"kustomization"`
	Source        *tracedSource        `json:"source"`
	Fields        []whyField           `json:"fields"`
	Notes         []string             `json:"notes,omitempty"`
}

// whyField is what is known of one field.
type whyField struct {
	Field     provenance.Path   `json:"field"`
	Value     any               `json:"value"` // in Git; in the cluster for what isn't in Git
	InGit     bool              `json:"inGit"`
	Differs   bool              `json:"differs"`        // the cluster has another value
	Live      any               `json:"live,omitempty"` // that value
	Places    []whyPlace        `json:"places,omitempty"`
	ChangedBy []kube.FieldOwner `json:"changedBy,omitempty"` // the latest first
	Setter    string            `json:"setter,omitempty"`    // who sets what isn't in Git
}

// whyPlace is where a value is written, and by whom.
type whyPlace struct {
	provenance.Place

	Object string          // that has it, for what isn't in a file: the Kustomization, a ConfigMap, a Secret
	Key    string          // where in the object
	Commit *history.Commit // that has written the line
}

// MarshalJSON adds to the place's own fields.
func (p whyPlace) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Setting  provenance.Setting `json:"setting"`
		File     string             `json:"file,omitempty"`
		Line     int                `json:"line,omitempty"`
		Field    string             `json:"field,omitempty"`
		Variable string             `json:"variable,omitempty"`
		Guessed  bool               `json:"guessed,omitempty"`
		Object   string             `json:"object,omitempty"`
		Key      string             `json:"key,omitempty"`
		Commit   *history.Commit    `json:"commit,omitempty"`
	}{p.Setting, p.File, p.Line, p.Field.String(), p.Variable, p.Guessed, p.Object, p.Key, p.Commit})
}

// note adds what a person should know about the answer, once.
func (r *whyReport) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// setBy is the place that has set the field.
func (f whyField) setBy() *whyPlace {
	if len(f.Places) == 0 {
		return nil
	}
	return &f.Places[len(f.Places)-1]
}

// where says where a place is, short enough for a table.
func (p whyPlace) where() string {
	switch {
	case p.Object != "":
		return p.Object + " " + p.Key
	case p.Variable != "":
		return "the default of ${" + p.Variable + "}"
	default:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
}

// what says what a place does with the field; nothing where the field is simply written there.
func (p whyPlace) what() string {
	switch p.Setting {
	case provenance.SettingKustomization:
		return p.Field.String()
	case provenance.SettingVariable:
		return "${" + p.Variable + "}"
	case provenance.SettingManifest:
		return ""
	default:
		return string(p.Setting)
	}
}

// sameValue reports whether the cluster has what Git says, if not in the same letters.
func sameValue(path provenance.Path, git, live any) bool {
	a, b := fmt.Sprint(git), fmt.Sprint(live)
	if a == b {
		return true
	}
	if path[0] == "stringData" {
		return base64.StdEncoding.EncodeToString([]byte(a)) == b
	}
	x, errX := resource.ParseQuantity(a)
	y, errY := resource.ParseQuantity(b)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}

// serverForgets says of a field that the API server keeps no such thing: an empty map, or text for data.
func serverForgets(path provenance.Path) bool { return path[0] == "stringData" }

// serverOwns says of a field that the API server writes it in every object.
func serverOwns(path provenance.Path) bool {
	if path[0] != "metadata" || len(path) < 2 {
		return path[0] == "apiVersion" || path[0] == "kind"
	}
	key, _ := path[1].(string)
	return key == "name" || key == "namespace" || kube.ServerWrites(key)
}

// setterOf says who sets a field that isn't in Git.
func setterOf(path provenance.Path, owners []kube.FieldOwner) string {
	if len(path) == 3 && path[1] == "labels" && (path[2] == observe.LabelName || path[2] == observe.LabelNamespace) {
		return setterAgent
	}
	if len(owners) == 0 {
		return "the API server's default, or a webhook"
	}
	if owners[0].Manager == apply.DefaultManager {
		return "the agent; a former revision had it, or a default comes with another field"
	}
	return owners[0].Manager + ", in the cluster"
}

// printWhy prints one field at length, several as a table.
func (a *App) printWhy(r *whyReport) {
	if len(r.Fields) == 1 {
		a.printWhyField(r, r.Fields[0])
	} else {
		a.printWhyTable(r)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(a.Err, "%s %s\n", a.err.warn("note:"), n)
	}
}

func (a *App) printWhyField(r *whyReport, f whyField) {
	line := func(title, format string, args ...any) {
		fmt.Fprintf(a.Out, "%-15s %s\n", title, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(a.Out, "%s  %s = %s\n\n", a.out.bold(r.Object), f.Field, a.out.bold(brief(f.Value, 200)))
	if p := f.setBy(); p != nil {
		line("Set by", "%s", a.placeLine(*p))
		a.printCommit(line, p)
		if p.Setting == provenance.SettingSpec || p.Object != "" && p.Setting == provenance.SettingVariable {
			a.printFurther(line, *p)
		}
		for _, before := range slices.Backward(f.Places[:len(f.Places)-1]) {
			line("Together with", "%s", a.placeLine(before))
			a.printCommit(line, &before)
		}
	} else if f.InGit {
		line("Set by", "Kustomize, from other fields; no single line decides it")
	} else {
		line("Set by", "%s", f.Setter)
	}
	fmt.Fprintln(a.Out)
	if f.InGit {
		line("Delivered by", "%s", kustomizationLine(r.Kustomization))
		line("From", "%s", sourceLine(r.Source))
	}
	for i, o := range f.ChangedBy {
		title := "Changed by"
		if i > 0 {
			title = "and by"
		}
		line(title, "%s", a.ownerLine(o))
	}
	switch {
	case f.Differs:
		line("In the cluster", "%s; Git says %s", a.out.bad(brief(f.Live, 200)), brief(f.Value, 200))
	case f.InGit:
		line("In the cluster", "%s", a.out.good("as in Git"))
	default:
		line("In Git", "%s", a.out.warn("not there"))
	}
}

func (a *App) placeLine(p whyPlace) string {
	text := a.out.bold(p.where())
	if what := p.what(); what != "" {
		text += "  " + what
	}
	if p.Guessed {
		text += "  (it is written there; what else has a part in it wasn't found out)"
	}
	return text
}

func (a *App) printCommit(line func(string, string, ...any), p *whyPlace) {
	if p.Commit == nil {
		return
	}
	line("", "%s  %s  %s, %s", a.out.warn(p.Commit.Hash[:8]), p.Commit.Subject, p.Commit.Author,
		p.Commit.Time.Format("2006-01-02 15:04"))
}

// printFurther says how to go on where the value is in an object of the cluster.
func (a *App) printFurther(line func(string, string, ...any), p whyPlace) {
	parts := strings.Split(p.Object, "/")
	if len(parts) == 3 {
		line("", "%s", a.out.dim(fmt.Sprintf("further: slipway why %s/%s -n %s '%s'", strings.ToLower(parts[0]), parts[2], parts[1], p.Key)))
	}
}

func (a *App) ownerLine(o kube.FieldOwner) string {
	how := map[string]string{"Apply": "server-side apply", "Update": "update"}[string(o.Operation)]
	if o.Subresource != "" {
		how += " of " + o.Subresource
	}
	when := ""
	if !o.Time.IsZero() {
		when = fmt.Sprintf(", %s ago", a.age(o.Time))
	}
	return fmt.Sprintf("%s (%s)%s", a.out.bold(o.Manager), how, when)
}

func kustomizationLine(k *tracedKustomization) string {
	return fmt.Sprintf("Kustomization/%s/%s  %s  %s", k.Namespace, k.Name, k.Path, shortRevision(k.Revision))
}

func sourceLine(s *tracedSource) string {
	return strings.TrimSpace(fmt.Sprintf("%s/%s/%s  %s", s.Kind, s.Namespace, s.Name, s.URL))
}

func (a *App) printWhyTable(r *whyReport) {
	fmt.Fprintf(a.Out, "%s\n%s\n%s\n\n", a.out.bold(r.Object), kustomizationLine(r.Kustomization), sourceLine(r.Source))
	t := table{header: []string{"FIELD", "VALUE", "FROM", "COMMIT", "AUTHOR", "DATE", "CHANGED BY"}}
	different := 0
	for _, f := range r.Fields {
		value := brief(f.Value, 40)
		if f.Differs {
			different++
			value = a.out.bad(brief(f.Live, 40)+" ≠") + " " + value
		}
		from, commit, author, date := "-", "-", "-", "-"
		if p := f.setBy(); p != nil {
			from = p.where()
			if what := p.what(); what != "" && p.Object == "" {
				from += " " + what
			}
			if c := p.Commit; c != nil {
				commit, author, date = c.Hash[:8], c.Author, c.Time.Format("2006-01-02")
			}
		} else if !f.InGit {
			from = a.out.warn("not in Git") + foreign(f)
		}
		changed := "-"
		if len(f.ChangedBy) > 0 {
			changed = f.ChangedBy[0].Manager
			if t := f.ChangedBy[0].Time; !t.IsZero() {
				changed += " " + a.age(t)
			}
		}
		t.add(f.Field.String(), value, from, commit, author, date, changed)
	}
	if err := a.printTable(t); err != nil {
		return // whoever reads has gone
	}
	switch different {
	case 0:
	case 1:
		fmt.Fprintf(a.Out, "\n%s\n", a.out.bad("1 field differs: what the cluster has ≠ what Git says"))
	default:
		fmt.Fprintf(a.Out, "\n%s\n", a.out.bad(fmt.Sprintf("%d fields differ: what the cluster has ≠ what Git says", different)))
	}
}

// foreign adds for a table who sets what isn't in Git, where that isn't to be seen in the column of who changed it.
func foreign(f whyField) string {
	if f.Setter == setterAgent {
		return ": the agent's"
	}
	return ""
}

// brief is a value on one line of at most so many characters.
func brief(value any, most int) string {
	text, ok := value.(string)
	if !ok {
		data, err := json.Marshal(value)
		if err != nil {
			return err.Error()
		}
		text = string(data)
	}
	text = oneLine(text)
	if text == "" {
		return `""`
	}
	if letters := []rune(text); len(letters) > most {
		text = string(letters[:most-1]) + "…"
	}
	return text
}
