package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
)

// maxOwners bounds the walk from an object to its owners: Pod, ReplicaSet, Deployment is three.
const maxOwners = 10

// traced is the way of an object from Git.
type traced struct {
	Object        string               `json:"object"`
	Owners        []string             `json:"owners,omitempty"` // from the object up to the one that was applied
	State         health.State         `json:"state"`
	Message       string               `json:"message,omitempty"`
	Kustomization *tracedKustomization `json:"kustomization"`
	Source        *tracedSource        `json:"source,omitempty"`
}

type tracedKustomization struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Path      string       `json:"path"`
	Revision  string       `json:"revision,omitempty"` // the last one applied
	Ready     string       `json:"ready"`
	State     health.State `json:"state"`
	Message   string       `json:"message,omitempty"`
}

type tracedSource struct {
	Kind      string       `json:"kind"`
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	URL       string       `json:"url,omitempty"`
	Ref       string       `json:"ref,omitempty"`
	Revision  string       `json:"revision,omitempty"` // the last one fetched
	Ready     string       `json:"ready"`
	State     health.State `json:"state"`
	Message   string       `json:"message,omitempty"`
}

func newTrace(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace KIND/NAME",
		Short: "Show where an object in the cluster comes from in Git",
		Long: `Follow an object back to Git: to the object that owns it, to the Kustomization that applied that one, and to the
source, revision and path it was built from.

KIND is anything that kubectl would take: deployment, deploy, deployments.apps.`,
		Example: `  slipway trace deployment/cart -n shop

  # A pod leads to its Deployment, and from there to Git
  slipway trace pod/cart-6d5f9c7b4-x2x7k -n shop`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeAnyObject(app),
	}
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		word, name, ok := strings.Cut(strings.Join(args, "/"), "/")
		if !ok || word == "" || name == "" || strings.Contains(name, "/") {
			return usagef("want KIND/NAME, got %q", strings.Join(args, " "))
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		found, err := c.trace(cmd.Context(), word, name)
		if err != nil {
			return err
		}
		return present(app, out, found, app.printTrace)
	}
	return cmd
}

func (c *cluster) trace(ctx context.Context, word, name string) (*traced, error) {
	obj, err := c.findAny(ctx, word, name)
	if err != nil {
		return nil, err
	}
	found := &traced{Object: kube.RefOf(obj).Subject()}
	found.State, found.Message = verdict(obj)
	if err := c.climb(ctx, obj, found); err != nil {
		return nil, err
	}
	return found, nil
}

// climb walks the owners of obj up to one that a Kustomization applied, and fills in what is known from there on.
func (c *cluster) climb(ctx context.Context, obj *unstructured.Unstructured, found *traced) error {
	for range maxOwners {
		if labels := obj.GetLabels(); ownedByKustomization(obj) {
			return c.traceKustomization(ctx, labels[observe.LabelNamespace], labels[observe.LabelName], found)
		}
		above, err := c.ownerOf(ctx, obj)
		if err != nil {
			return err
		}
		if above == nil {
			break
		}
		obj = above
		found.Owners = append(found.Owners, kube.RefOf(obj).Subject())
	}
	return fmt.Errorf("%s comes from no Kustomization: neither it nor an owner of it has the label %s",
		found.Object, observe.LabelName)
}

func ownedByKustomization(obj *unstructured.Unstructured) bool {
	return obj.GetLabels()[observe.LabelName] != ""
}

// ownerOf reads the controller of an object; nil: it has none.
func (c *cluster) ownerOf(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	owner := metav1.GetControllerOf(obj)
	if owner == nil {
		return nil, nil
	}
	above := &unstructured.Unstructured{}
	above.SetAPIVersion(owner.APIVersion)
	above.SetKind(owner.Kind)
	key := client.ObjectKey{Namespace: obj.GetNamespace(), Name: owner.Name}
	if err := c.Get(ctx, key, above); err != nil {
		return nil, fmt.Errorf("read owner %s/%s: %w", owner.Kind, owner.Name, err)
	}
	return above, nil
}

func (c *cluster) traceKustomization(ctx context.Context, namespace, name string, found *traced) error {
	var ks kustomizev1.Kustomization
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &ks); err != nil {
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("%s says that Kustomization %s/%s applied it, but that one is gone", found.Object, namespace, name)
		}
		return fmt.Errorf("read Kustomization %s/%s: %w", namespace, name, err)
	}
	state, message := verdictOfDelivered(kustomizationKind(), &ks)
	found.Kustomization = &tracedKustomization{
		Namespace: namespace, Name: name, Path: ks.Spec.Path, Revision: ks.Status.LastAppliedRevision,
		Ready: readyStatus(ks.GetConditions()), State: state, Message: message,
	}
	ref := ks.Spec.SourceRef
	if ref.Namespace == "" {
		ref.Namespace = namespace
	}
	found.Source = &tracedSource{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, Ready: "Unknown", State: health.Unknown}
	return c.traceSource(ctx, found.Source)
}

// traceSource fills in what is known of a source, of whichever kind.
func (c *cluster) traceSource(ctx context.Context, source *tracedSource) error {
	k, ok := kindOf(source.Kind)
	if !ok || k.sourceAs == "" {
		return nil
	}
	obj := k.newObject()
	err := c.Get(ctx, client.ObjectKey{Namespace: source.Namespace, Name: source.Name}, obj)
	if apierrors.IsNotFound(err) || apimeta.IsNoMatchError(err) {
		source.Ready, source.State, source.Message = "False", stateMissing, "not in the cluster"
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s %s/%s: %w", k.name, source.Namespace, source.Name, err)
	}
	source.URL, source.Ref = whereFrom(obj)
	source.Revision = k.revision(obj)
	source.Ready = readyStatus(obj.GetConditions())
	source.State, source.Message = verdictOfDelivered(k, obj)
	return nil
}

// whereFrom says where a source takes its files from, and which of them it follows.
func whereFrom(obj delivered) (address, ref string) {
	switch o := obj.(type) {
	case *sourcev1.GitRepository:
		return withoutUser(o.Spec.URL), describeRef(o.Spec.Reference)
	case *sourcev1.OCIRepository:
		return withoutUser(o.Spec.URL), describeOCIRef(o.Spec.Reference)
	case *sourcev1.Bucket:
		return o.Spec.Endpoint + "/" + o.Spec.BucketName, o.Spec.Prefix
	case *sourcev1.ExternalArtifact:
		if from := o.Spec.SourceRef; from != nil {
			return from.Kind + "/" + from.Name, ""
		}
	}
	return "", ""
}

// describeOCIRef says which image is followed; the order is the one in which the fields win.
func describeOCIRef(ref *sourcev1.OCIRepositoryRef) string {
	switch {
	case ref == nil:
		return "tag latest"
	case ref.Digest != "":
		return "digest " + ref.Digest
	case ref.SemVer != "":
		return "semver " + ref.SemVer
	case ref.Tag != "":
		return "tag " + ref.Tag
	default:
		return "tag latest"
	}
}

func readyStatus(conditions []metav1.Condition) string {
	ready := apimeta.FindStatusCondition(conditions, meta.ReadyCondition)
	if ready == nil {
		return string(metav1.ConditionUnknown)
	}
	return string(ready.Status)
}

// withoutUser takes names and passwords out of a URL: they are nobody's business on a screen.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(not a URL)"
	}
	u.User = nil
	return u.String()
}

// describeRef says which revision of a repository is followed; the order is the one in which the fields win.
func describeRef(ref *sourcev1.GitRepositoryRef) string {
	switch {
	case ref == nil:
		return "branch master"
	case ref.Commit != "":
		return "commit " + ref.Commit
	case ref.Name != "":
		return "ref " + ref.Name
	case ref.SemVer != "":
		return "semver " + ref.SemVer
	case ref.Tag != "":
		return "tag " + ref.Tag
	case ref.Branch != "":
		return "branch " + ref.Branch
	default:
		return "branch master"
	}
}

func (a *App) printTrace(t *traced) {
	line := func(title, text string) {
		if text != "" {
			fmt.Fprintf(a.Out, "%-15s %s\n", title+":", text)
		}
	}
	status := func(state health.State, message string) string {
		return strings.TrimSpace(a.state(state) + "  " + oneLine(message))
	}
	line("Object", a.out.bold(t.Object))
	line("Health", status(t.State, t.Message))
	for _, owner := range t.Owners {
		line("Owned by", owner)
	}
	fmt.Fprintln(a.Out)
	line("Kustomization", a.out.bold(t.Kustomization.Namespace+"/"+t.Kustomization.Name))
	line("Path", t.Kustomization.Path)
	line("Revision", t.Kustomization.Revision)
	line("Status", status(t.Kustomization.State, t.Kustomization.Message))
	fmt.Fprintln(a.Out)
	line(t.Source.Kind, a.out.bold(t.Source.Namespace+"/"+t.Source.Name))
	line("URL", t.Source.URL)
	line("Follows", t.Source.Ref)
	line("Revision", t.Source.Revision)
	line("Status", status(t.Source.State, t.Source.Message))
}
