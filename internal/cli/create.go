package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// createManager owns the fields that 'slipway create' has set.
const createManager = client.FieldOwner("slipway-create")

// defaultInterval is the flux CLI's, so that the same command line makes the same object.
const defaultInterval = time.Minute

func newCreate(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "create",
		Short: "Write a source, a Kustomization or a Receiver, for Git or into the cluster",
		Long: `Make an object from flags, named as those of 'flux create'. With --export it is printed, and no cluster is
asked; without, it is applied, and followed until it is ready. What can't be right is refused before anything is sent.`,
		Example: `  slipway create source git shop --url https://git.example.com/shop --branch main --export > shop.yaml
  slipway create kustomization shop --source GitRepository/shop --path ./deploy --prune`,
	},
		group(&cobra.Command{
			Use:   "source",
			Short: "Write a source",
			Long:  "Make a GitRepository, an OCIRepository or a Bucket from flags, for Git or into the cluster.",
			Example: `  slipway create source git shop --url https://git.example.com/shop --branch main
  slipway create source oci shop --url oci://registry.example.com/team/shop --tag latest
  slipway create source bucket shop --endpoint s3.example.com --bucket-name manifests`,
		}, newCreateGit(app), newCreateOCI(app), newCreateBucket(app)),
		newCreateKustomization(app), newCreateReceiver(app))
}

// createFlags are those of every kind.
type createFlags struct {
	interval time.Duration
	labels   map[string]string
	export   bool
	force    bool
	noWait   bool
	timeout  time.Duration
}

// creation is what one kind adds to them: make builds the object from the flags, and says what is wrong with them.
type creation struct {
	kind     kind
	command  *cobra.Command
	interval time.Duration // the default; 0: that of sources and Kustomizations
	make     func(flags *createFlags) (delivered, error)
}

// creating completes a command that makes one object.
func (a *App) creating(c creation) *cobra.Command {
	cmd, flags := c.command, &createFlags{}
	cmd.Args, cmd.ValidArgsFunction = cobra.ExactArgs(1), cobra.NoFileCompletions
	cmd.Flags().DurationVar(&flags.interval, "interval", cmp.Or(c.interval, defaultInterval), "pause between two looks at what it is about")
	cmd.Flags().StringToStringVar(&flags.labels, "label", nil, "labels to set, KEY=VALUE, more of them with commas")
	cmd.Flags().BoolVar(&flags.export, "export", false, "print it as YAML, and ask no cluster")
	cmd.Flags().BoolVar(&flags.force, "force-conflicts", false, "take fields over that somebody else has set")
	cmd.Flags().BoolVar(&flags.noWait, "no-wait", false, "don't wait until it is ready")
	cmd.Flags().DurationVar(&flags.timeout, "timeout", reconcilePatience, "how long to wait until it is ready")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		obj, err := c.make(flags)
		if err != nil {
			return err
		}
		namespace, err := a.namespace()
		if err != nil {
			return err
		}
		obj.SetName(args[0])
		obj.SetNamespace(namespace)
		obj.SetLabels(flags.labels)
		return a.create(cmd.Context(), c.kind, obj, *flags)
	}
	return cmd
}

// namespace is where a verb works. Where no cluster is known it is --namespace, or default.
func (a *App) namespace() (string, error) {
	loader, err := a.clientConfig()
	if err != nil {
		return "", err
	}
	namespace, _, err := loader.Namespace()
	if clientcmd.IsEmptyConfig(err) {
		return cmp.Or(a.cluster.namespace, metav1.NamespaceDefault), nil
	}
	if err != nil {
		return "", fmt.Errorf("load kubeconfig: %w", err)
	}
	return namespace, nil
}

func (a *App) create(ctx context.Context, k kind, obj delivered, flags createFlags) error {
	if err := checkNames(obj); err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	written, err := authored(obj, scheme)
	if err != nil {
		return err
	}
	if err := checkSchema(k, written); err != nil {
		return err
	}
	if flags.export {
		text, err := yaml.Marshal(written.Object)
		if err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		_, err = fmt.Fprintf(a.Out, "---\n%s", text)
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	applied, err := c.applyCreated(ctx, k, written, flags.force)
	if err != nil {
		return err
	}
	a.donef("%s %s/%s applied", k.name, obj.GetNamespace(), obj.GetName())
	switch {
	case flags.noWait:
		return nil
	case k.isSuspended(applied):
		a.warnf("it is suspended; 'slipway resume %s %s -n %s' starts it", k.words[0], obj.GetName(), obj.GetNamespace())
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flags.timeout)
	defer cancel()
	return a.follow(ctx, c, k, applied, "")
}

// applyCreated applies what a person wants of an object, and returns what the cluster made of it.
func (c *cluster) applyCreated(ctx context.Context, k kind, written *unstructured.Unstructured, force bool) (delivered, error) {
	opts := []client.ApplyOption{createManager}
	if force {
		opts = append(opts, client.ForceOwnership)
	}
	err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(written), opts...)
	switch {
	case apierrors.IsConflict(err):
		return nil, fmt.Errorf("%s %s/%s has been set otherwise by somebody else: change it there (in Git, if it comes from there), or give --force-conflicts: %w",
			k.name, written.GetNamespace(), written.GetName(), err)
	case err != nil:
		return nil, fmt.Errorf("apply %s %s/%s: %w", k.name, written.GetNamespace(), written.GetName(), err)
	}
	applied := k.newObject()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(written.Object, applied); err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", k.name, written.GetNamespace(), written.GetName(), err)
	}
	return applied, nil
}

// checkNames finds names and labels that the API server would refuse.
func checkNames(obj client.Object) error {
	if wrong := validation.IsDNS1123Subdomain(obj.GetName()); len(wrong) > 0 {
		return usagef("%q can't be a name: %s", obj.GetName(), wrong[0])
	}
	for _, key := range slices.Sorted(maps.Keys(obj.GetLabels())) {
		wrong := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(obj.GetLabels()[key])...)
		if len(wrong) > 0 {
			return usagef("--label %s=%s: %s", key, obj.GetLabels()[key], wrong[0])
		}
	}
	return nil
}

// required says which flag is missing, if one is.
func required(values map[string]string) error {
	for _, flag := range slices.Sorted(maps.Keys(values)) {
		if values[flag] == "" {
			return usagef("--%s is missing", flag)
		}
	}
	return nil
}

// oneOf says that exactly one of some flags must be given.
func oneOf(what string, values map[string]string) error {
	var given, known []string
	for _, flag := range slices.Sorted(maps.Keys(values)) {
		known = append(known, "--"+flag)
		if values[flag] != "" {
			given = append(given, "--"+flag)
		}
	}
	if len(given) != 1 {
		return usagef("say which %s with exactly one of %s", what, strings.Join(known, ", "))
	}
	return nil
}

// ignoreRules are the rules of .spec.ignore; nil where there are none.
func ignoreRules(patterns []string) *string {
	if len(patterns) == 0 {
		return nil
	}
	return new(strings.Join(patterns, "\n"))
}

// orNone is a duration of a spec; nil where the default is to hold.
func orNone(d time.Duration) *metav1.Duration {
	if d == 0 {
		return nil
	}
	return &metav1.Duration{Duration: d}
}
