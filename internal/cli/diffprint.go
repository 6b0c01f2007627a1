package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-dev/slipway/internal/apply"
)

const formatMarkdown = "markdown"

// maxMarkdown is how much of a diff goes into markdown, in bytes: GitHub takes comments of 65536 characters.
const maxMarkdown = 60_000

// kustomizationDiff is what would become of the objects of one Kustomization.
type kustomizationDiff struct {
	Kustomization string       `json:"kustomization"`      // namespace/name
	Proposal      string       `json:"proposal,omitempty"` // what is to become of the Kustomization itself: added, changed or deleted
	Revision      string       `json:"revision,omitempty"` // that was built
	Path          string       `json:"path"`
	As            string       `json:"as,omitempty"`    // the account that the requests were made as; "" is you
	Error         string       `json:"error,omitempty"` // why it can't be built
	Objects       []difference `json:"objects"`
}

// changes reports whether there is something to show of an object.
func (d difference) changes() bool {
	return d.Error != "" || d.Action != apply.Unchanged && d.Action != apply.Skipped
}

// summary counts what would become of the objects: "1 created, 2 configured, 14 unchanged".
func (k kustomizationDiff) summary() string {
	counts := map[string]int{}
	for _, d := range k.Objects {
		counts[cmp.Or(map[bool]string{true: "failed"}[d.Error != ""], string(d.Action))]++
	}
	var words []string
	for _, action := range []string{
		string(apply.Created), string(apply.Configured), string(apply.Recreated), string(apply.Deleted), "failed",
		string(apply.Unchanged), string(apply.Skipped),
	} {
		if counts[action] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[action], action))
		}
	}
	if len(words) == 0 {
		return "no objects"
	}
	return strings.Join(words, ", ")
}

// writeDiff prints what was found. One Kustomization as it is, is a list of its objects in JSON; a proposal is a list of Kustomizations.
func (a *App) writeDiff(format string, found []kustomizationDiff, how diffOptions) error {
	switch {
	case format == formatMarkdown:
		_, err := fmt.Fprint(a.Out, markdownOf(found, how))
		return err
	case format == "text" && !how.proposed():
		a.printDifferences(found[0].Objects)
		return nil
	case format == "text":
		a.printProposal(found, how)
		return nil
	case how.proposed():
		return a.write(format, append([]kustomizationDiff{}, found...))
	default:
		return a.write(format, found[0].Objects)
	}
}

func (a *App) printDifferences(found []difference) {
	if !a.printChanges(found) {
		a.donef("no differences in %d objects", len(found))
	}
}

// printChanges reports whether there were any.
func (a *App) printChanges(found []difference) bool {
	different := false
	for _, d := range found {
		switch {
		case d.Error != "":
			fmt.Fprintf(a.Out, "%s %s: %s\n", a.out.bold(d.Object), a.out.bad("can't be applied"), d.Error)
		case !d.changes():
			continue
		default:
			fmt.Fprintf(a.Out, "%s %s%s\n", a.out.bold(d.Object), d.Action, inBrackets(d.Note))
		}
		different = true
		for line := range strings.Lines(d.Diff) {
			fmt.Fprint(a.Out, a.colourDiff(line))
		}
	}
	return different
}

func (a *App) printProposal(found []kustomizationDiff, how diffOptions) {
	if len(found) == 0 {
		a.donef("%s touches no Kustomization of this source", proposalName(how))
		return
	}
	for i, ks := range found {
		if i > 0 {
			fmt.Fprintln(a.Out)
		}
		fmt.Fprintf(a.Out, "%s%s\n", a.out.bold("Kustomization/"+ks.Kustomization), inBrackets(ks.aside()))
		if ks.Error != "" {
			fmt.Fprintf(a.Out, "%s %s\n", a.out.bad("can't be built:"), ks.Error)
			continue
		}
		a.printChanges(ks.Objects)
		fmt.Fprintln(a.Out, a.out.dim(ks.summary()))
	}
}

// aside says in a few words what is special about a Kustomization.
func (k kustomizationDiff) aside() string {
	var words []string
	if k.Proposal != "" {
		words = append(words, k.Proposal+" by it")
	}
	if k.Revision != "" {
		words = append(words, shortRevision(k.Revision))
	}
	if k.As != "" {
		words = append(words, "as "+k.As)
	}
	return strings.Join(words, ", ")
}

func proposalName(how diffOptions) string {
	if how.branch != "" {
		return "branch " + how.branch
	}
	return how.path
}

// markdownOf writes a diff as a comment for a pull request.
func markdownOf(found []kustomizationDiff, how diffOptions) string {
	var b strings.Builder
	if how.proposed() {
		fmt.Fprintf(&b, "## What `%s` would change in the cluster\n\n", strings.TrimPrefix(proposalName(how), "branch "))
	}
	if len(found) == 0 {
		b.WriteString("It touches no Kustomization of this source.\n")
	}
	left := 0
	for _, ks := range found {
		fmt.Fprintf(&b, "### Kustomization `%s`: %s\n\n", ks.Kustomization, cmp.Or(map[bool]string{true: "can't be built"}[ks.Error != ""], ks.summary()))
		if aside := ks.aside(); aside != "" {
			fmt.Fprintf(&b, "_%s_\n\n", aside)
		}
		if ks.Error != "" {
			fmt.Fprintf(&b, "%s\n\n", fenced("", ks.Error))
		}
		for _, d := range ks.Objects {
			if !d.changes() {
				continue
			}
			text := markdownObject(d)
			if b.Len()+len(text) > maxMarkdown {
				left++
				continue
			}
			b.WriteString(text)
		}
	}
	if left > 0 {
		fmt.Fprintf(&b, "_%d more objects change; there is no room for them here, `slipway diff` shows them all._\n", left)
	}
	return b.String()
}

func markdownObject(d difference) string {
	if d.Error != "" {
		return fmt.Sprintf("**`%s` can't be applied**\n\n%s\n\n", d.Object, fenced("", d.Error))
	}
	head := fmt.Sprintf("<code>%s</code> %s%s", d.Object, d.Action, inBrackets(d.Note))
	if d.Diff == "" {
		return head + "\n\n"
	}
	return fmt.Sprintf("<details><summary>%s</summary>\n\n%s\n\n</details>\n\n", head, fenced("diff", d.Diff))
}

// fenced makes a block of code with a fence that the text doesn't have.
func fenced(language, text string) string {
	fence := "```"
	for slices.Contains(strings.Fields(text), fence) || strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + language + "\n" + strings.TrimSuffix(text, "\n") + "\n" + fence
}

func inBrackets(note string) string {
	if note == "" {
		return ""
	}
	return " (" + note + ")"
}

func (a *App) colourDiff(line string) string {
	text := strings.TrimSuffix(line, "\n")
	switch {
	case strings.HasPrefix(text, "+"):
		text = a.out.good(text)
	case strings.HasPrefix(text, "-"):
		text = a.out.bad(text)
	case strings.HasPrefix(text, "@@"):
		text = a.out.dim(text)
	}
	return text + "\n"
}
