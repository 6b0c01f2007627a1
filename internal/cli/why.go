package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/build/inputs"
	"github.com/slipway-dev/slipway/internal/build/mask"
	"github.com/slipway-dev/slipway/internal/build/provenance"
	"github.com/slipway-dev/slipway/internal/history"
	"github.com/slipway-dev/slipway/internal/kube"
)

func newWhy(app *App) *cobra.Command {
	var repo string
	cmd := &cobra.Command{
		Use:   "why KIND/NAME [FIELD]",
		Short: "Say which commit, file and line a field of an object comes from, and who changed it last",
		Long: `Say of a field of an object in the cluster which line of which file in Git it comes from, which commit has written
that line, which Kustomization has delivered it, who changed it last in the cluster, and whether the cluster has what
Git says. Without FIELD, say it of all fields of the object in a table.

A field that a patch, an image, a label, a name prefix, a generator, a replacement or a variable has set is told as that:
with the line of the kustomization.yaml or patch, the field of the Kustomization, or the ConfigMap. It is found out by building
the source here, as the agent does, up to some hundred times; nothing is changed in the cluster.

The commit is read from a Git repository with its history: --repo, else the one you are in, if it has the revision that was
applied; else a mirror that is made once in your cache folder. To fetch it you are who you are: your ssh agent, ~/.netrc, or
$SLIPWAY_GIT_USERNAME and $SLIPWAY_GIT_PASSWORD for the host $SLIPWAY_GIT_HOST, over HTTPS only; and where that isn't enough, the
source's Secret is read with your kubeconfig, which works only if you may. Without a history the revision that was applied is told instead.

Values of Secrets aren't shown.`,
		Example: `  # Why are there five of them?
  slipway why deployment/web -n shop spec.replicas

  # An element of a list by its name, a label with dots in its key
  slipway why deploy/web 'spec.template.spec.containers[web].image'
  slipway why deploy/web 'metadata.labels[app.kubernetes.io/name]'

  # All fields of an object
  slipway why service/web -n shop

  # With the history of a working copy
  slipway why deployment/web spec.replicas --repo ~/src/shop`,
		Args:              cobra.RangeArgs(1, 3),
		ValidArgsFunction: completeAnyObject(app),
	}
	cmd.Flags().StringVar(&repo, "repo", "", "working copy of the repository, for its history")
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		word, name, field, err := objectAndField(args)
		if err != nil {
			return err
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		report, err := app.why(cmd.Context(), c, whyQuestion{word, name, field, repo})
		if err != nil {
			return err
		}
		return present(app, out, report, app.printWhy)
	}
	return cmd
}

// whyQuestion is what a person asks.
type whyQuestion struct {
	word, name string
	field      provenance.Path // nil: all
	repo       string
}

// objectAndField reads KIND/NAME [FIELD] and KIND NAME [FIELD].
func objectAndField(args []string) (word, name string, field provenance.Path, err error) {
	word, name, ok := strings.Cut(args[0], "/")
	rest := args[1:]
	if !ok && len(rest) > 0 {
		name, rest = rest[0], rest[1:]
	}
	if word == "" || name == "" || len(rest) > 1 {
		return "", "", nil, usagef("want KIND/NAME [FIELD], got %q", strings.Join(args, " "))
	}
	if len(rest) == 1 {
		if field, err = provenance.ParsePath(rest[0]); err != nil {
			return "", "", nil, usageError{err}
		}
	}
	return word, name, field, nil
}

// why answers a question.
func (a *App) why(ctx context.Context, c *cluster, q whyQuestion) (*whyReport, error) {
	asked, err := c.findAny(ctx, q.word, q.name)
	if err != nil {
		return nil, err
	}
	report := &whyReport{Object: kube.RefOf(asked).Subject()}
	live, err := c.applied(ctx, asked)
	if err != nil {
		return nil, err
	}
	if live.GetUID() != asked.GetUID() {
		report.note("%s is made from %s; what follows is about that one", report.Object, kube.RefOf(live).Subject())
		report.Object = kube.RefOf(live).Subject()
		q.field = inTemplate(asked, live, q.field)
	}
	way := &traced{Object: report.Object}
	if err := c.climb(ctx, live, way); err != nil {
		return nil, err
	}
	report.Kustomization, report.Source = way.Kustomization, way.Source
	var ks kustomizev1.Kustomization
	if err := c.Get(ctx, client.ObjectKey{Namespace: way.Kustomization.Namespace, Name: way.Kustomization.Name}, &ks); err != nil {
		return nil, fmt.Errorf("read Kustomization: %w", err)
	}
	files, err := a.filesFor(ctx, c, &ks, "")
	if err != nil {
		return nil, err
	}
	defer files.close()
	read, err := inputs.Read(ctx, c, &ks)
	if err != nil {
		return nil, err
	}
	a.progressf("building %s", cmp.Or(files.path, "./"))
	in := read.For(build.TreeOf(files.fs), files.path, ks.Spec)
	origin, err := provenance.Of(ctx, in, kube.RefOf(live), q.field)
	if errors.Is(err, provenance.ErrNotBuilt) {
		return nil, fmt.Errorf("%s was applied by Kustomization %s/%s, but %s of its source doesn't have it; 'slipway diff kustomization %s -n %s' "+
			"tells what becomes of it", report.Object, ks.Namespace, ks.Name, cmp.Or(files.revision, "the present revision"), ks.Name, ks.Namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("build Kustomization %q: %w", ks.Name, err)
	}
	if files.revision != "" && files.revision != ks.Status.LastAppliedRevision {
		report.note("this is about %s, which the source has; %s is applied", files.revision, cmp.Or(ks.Status.LastAppliedRevision, "nothing yet"))
	}
	e := whyExplainer{app: a, cluster: c, ks: &ks, live: live, built: origin.Object, hidden: read.Mask.With(origin.Decrypted), report: report}
	e.git, e.commit = a.historyFor(ctx, c, report, cmp.Or(files.revision, ks.Status.LastAppliedRevision), q.repo)
	for _, f := range origin.Fields {
		report.Fields = append(report.Fields, e.explain(ctx, f))
	}
	e.addForeign(q.field)
	if len(report.Fields) == 0 {
		return nil, fmt.Errorf("%s has no field %s, neither in Git nor in the cluster; without a field, 'slipway why %s/%s' lists those that it has",
			report.Object, q.field, q.word, q.name)
	}
	return report, nil
}

// applied climbs from an object to the one that a Kustomization has applied.
func (c *cluster) applied(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	for range maxOwners {
		if ownedByKustomization(obj) {
			return obj, nil
		}
		above, err := c.ownerOf(ctx, obj)
		if err != nil {
			return nil, err
		}
		if above == nil {
			return obj, nil
		}
		obj = above
	}
	return obj, nil
}

// inTemplate is where a pod's field is written in what the pod is made from.
func inTemplate(pod, maker *unstructured.Unstructured, field provenance.Path) provenance.Path {
	_, found, _ := unstructured.NestedMap(maker.Object, "spec", "template")
	if field == nil || pod.GetKind() != "Pod" || !found {
		return field
	}
	return append(provenance.Path{"spec", "template"}, field...)
}

// whyExplainer explains the fields of one object.
type whyExplainer struct {
	app     *App
	cluster *cluster
	ks      *kustomizev1.Kustomization
	live    *unstructured.Unstructured
	built   *unstructured.Unstructured
	hidden  mask.Mask
	report  *whyReport
	git     *history.Repository // nil: no history
	commit  string              // at which the files were read
}

// explain says all that is known of a field that is in Git.
func (e *whyExplainer) explain(ctx context.Context, f provenance.Field) whyField {
	found := whyField{Field: f.Path, InGit: true, Value: e.shown(f.Path, f.Value)}
	at, value, ok := provenance.Follow(e.built.Object, f.Path, e.live.Object)
	if !ok && f.Path[0] == "stringData" {
		at, value, ok = e.secretData(f.Path)
	}
	switch {
	case !ok && !serverForgets(f.Path):
		found.Differs, found.Live = true, missing
	case ok:
		found.ChangedBy = kube.FieldOwners(e.live, at)
		if found.Differs = !sameValue(f.Path, f.Value, value); found.Differs {
			found.Live = e.shown(f.Path, value)
		}
	}
	for _, place := range f.Places {
		found.Places = append(found.Places, e.place(ctx, place))
	}
	return found
}

// place adds to a place who has written it.
func (e *whyExplainer) place(ctx context.Context, p provenance.Place) whyPlace {
	found := whyPlace{Place: p}
	switch p.Setting {
	case provenance.SettingSpec:
		found.Object = kustomizev1.KustomizationKind + "/" + e.ks.Namespace + "/" + e.ks.Name
		found.Key = "spec." + p.Field.String()
	case provenance.SettingVariable:
		found.Object, found.Key = e.cluster.variable(ctx, e.ks, p.Variable)
	default:
		if e.git == nil {
			return found
		}
		commit, err := e.git.Blame(e.commit, p.File, p.Line)
		if err != nil {
			e.report.note("%v", err)
			return found
		}
		found.Commit = &commit
	}
	return found
}

// variable says where the value of a variable is.
func (c *cluster) variable(ctx context.Context, ks *kustomizev1.Kustomization, name string) (object, key string) {
	kustomization := kustomizev1.KustomizationKind + "/" + ks.Namespace + "/" + ks.Name
	post := ks.Spec.PostBuild
	if post == nil {
		return "", ""
	}
	if _, ok := post.Substitute[name]; ok {
		return kustomization, "spec.postBuild.substitute." + name
	}
	for _, ref := range slices.Backward(post.SubstituteFrom) {
		values, err := inputs.Values(ctx, c, ks.Namespace, ref)
		if _, ok := values[name]; err == nil && ok {
			return ref.Kind + "/" + ks.Namespace + "/" + ref.Name, "data." + name
		}
	}
	return "", "" // the default in ${name:=…}
}

// addForeign adds the fields that somebody has set in the cluster and that aren't in Git.
func (e *whyExplainer) addForeign(below provenance.Path) {
	for _, path := range provenance.Leaves(e.live.Object) {
		if path[0] == "status" || serverOwns(path) || isLastApplied(path) || below != nil && !startsWith(path, e.resolved(below)) {
			continue
		}
		if _, _, inGit := provenance.Follow(e.live.Object, path, e.built.Object); inGit {
			continue
		}
		owners := kube.FieldOwners(e.live, path)
		switch {
		case len(owners) == 0 && below == nil: // defaults are of no interest unless they are asked for
			continue
		case path[0] == "data" && e.built.Object["stringData"] != nil:
			continue
		}
		_, value, _ := provenance.Resolve(e.live.Object, path)
		e.report.Fields = append(e.report.Fields, whyField{Field: path, Value: e.shown(path, value), ChangedBy: owners, Setter: setterOf(path, owners)})
	}
}

func (e *whyExplainer) resolved(path provenance.Path) provenance.Path {
	resolved, _, _ := provenance.Resolve(e.live.Object, path)
	return resolved
}

func startsWith(path, prefix provenance.Path) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}

func (e *whyExplainer) secretData(path provenance.Path) (provenance.Path, any, bool) {
	at := append(provenance.Path{"data"}, path[1:]...)
	return provenance.Resolve(e.live.Object, at)
}

// shown is a value as it may be seen. Of a Secret that is what it is called and how it is labelled: its data may also be in annotations, such
// as kubectl's copy of the whole object.
func (e *whyExplainer) shown(path provenance.Path, value any) any {
	if e.live.GetKind() == "Secret" && e.live.GroupVersionKind().Group == "" && !tellsNoSecret(path) {
		return hiddenValue
	}
	if text, ok := value.(string); ok {
		return e.hidden.Hide(text)
	}
	return value
}

// tellsNoSecret says of a field of a Secret that it may be seen.
func tellsNoSecret(path provenance.Path) bool {
	if path[0] == "metadata" && len(path) > 1 {
		return path[1] == "name" || path[1] == "namespace" || path[1] == "labels"
	}
	return path[0] == "apiVersion" || path[0] == "kind" || path[0] == "type" || path[0] == "immutable"
}

// isLastApplied says of a field that it is kubectl's copy of the whole object, which says nothing that the object doesn't.
func isLastApplied(path provenance.Path) bool {
	return len(path) == 3 && path[1] == "annotations" && path[2] == corev1.LastAppliedConfigAnnotation
}
