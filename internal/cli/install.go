package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

// installOptions say what is installed and how.
type installOptions struct {
	manifests  deploy.Options
	dryRun     bool
	besideFlux bool
	wait       bool
	timeout    time.Duration
}

func newInstall(app *App) *cobra.Command {
	opts := installOptions{}
	var noWait bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Put Slipway into a cluster, or bring it up to date there",
		Long: `Apply the manifests that this binary carries: the CRDs, the agent's roles, and the agent as a StatefulSet in the
namespace slipway-system; then wait until it runs. Run again, it changes what differs and removes what the
manifests don't have any more.

An overlay is an environment: 'dev' is one replica that says a lot, 'prod' is five on five nodes.

The agent's own permissions are narrow: it reads sources and Kustomizations, and applies what they bring as the service
account that each Kustomization names. '--grant cluster-admin' lets it apply anything under its own name instead; without
the flag, such a grant of an earlier install is taken back.`,
		Example: `  # Try it: no service accounts to think of
  slipway install --overlay dev --grant cluster-admin

  # Look first
  slipway install --overlay prod --dry-run

  # Hand the manifests to something else
  slipway install --overlay prod -o yaml > slipway.yaml`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.manifests.Overlay, "overlay", "prod", "environment: "+strings.Join(deploy.Overlays(), ", "))
	var grant, with []string
	flags.StringSliceVar(&grant, "grant", nil, "wider permissions for the agent: "+strings.Join(deploy.Grants(), ", "))
	flags.StringSliceVar(&with, "with", nil, "what is installed beside the agent: "+strings.Join(deploy.Extras(), ", ")+" (alerts and a dashboard, for the Prometheus operator and Grafana)")
	flags.StringVar(&opts.manifests.Image, "image", "", "image of the agent (default: the one of this version)")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "let the API server check everything and say what would change; change nothing")
	flags.BoolVar(&opts.besideFlux, "beside-flux", false, "install although Flux's controllers work on the same kinds here")
	flags.BoolVar(&noWait, "no-wait", false, "don't wait until the agent runs")
	flags.DurationVar(&opts.timeout, "timeout", reconcilePatience, "how long to wait")
	completeWords(cmd, "overlay", deploy.Overlays()...)
	completeWords(cmd, "grant", deploy.Grants()...)
	completeWords(cmd, "with", deploy.Extras()...)
	out := addOutputFlag(cmd, "text", formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts.wait = !noWait
		if err := known("grant", grant, deploy.Grants()); err != nil {
			return err
		}
		if err := known("with", with, deploy.Extras()); err != nil {
			return err
		}
		opts.manifests.Components = slices.Concat(grant, with)
		objs, err := renderInstall(opts.manifests)
		if err != nil {
			return err
		}
		if out.value == formatYAML {
			return app.writeManifests(objs)
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		return app.install(cmd.Context(), c, objs, opts)
	}
	return cmd
}

// known tells of the first value of a flag that is none of the words there are.
func known(flag string, values, words []string) error {
	for _, value := range values {
		if !slices.Contains(words, value) {
			return usagef("--%s %s: there is only %s", flag, value, strings.Join(words, ", "))
		}
	}
	return nil
}

// renderInstall renders the manifests; by default with the image of this binary's version.
func renderInstall(opts deploy.Options) ([]*unstructured.Unstructured, error) {
	if version := ownVersion(); opts.Image == "" && version != "" {
		opts.Image = deploy.Image + ":" + version
	}
	objs, err := deploy.Render(opts)
	if err != nil {
		return nil, usageError{err} // the manifests are tested; what is left is a name that doesn't exist
	}
	return objs, nil
}

func (a *App) writeManifests(objs []*unstructured.Unstructured) error {
	var all bytes.Buffer
	for _, obj := range objs {
		data, err := yaml.Marshal(obj.Object)
		if err != nil {
			return fmt.Errorf("encode %s: %w", obj.GetName(), err)
		}
		all.WriteString("---\n")
		all.Write(data)
	}
	_, err := a.Out.Write(all.Bytes())
	return err
}

// install applies objs in their order, waits until the agent runs, and then removes what an earlier install had and objs don't.
func (a *App) install(ctx context.Context, c *cluster, objs []*unstructured.Unstructured, opts installOptions) error {
	ctx, cancel := context.WithTimeout(ctx, opts.timeout)
	defer cancel()
	if !opts.besideFlux {
		if err := c.refuseFlux(ctx); err != nil {
			return err
		}
	}
	if opts.dryRun {
		return a.previewInstall(ctx, c, objs)
	}
	slotA, err := newSelfUpgrader(c.config, v1alpha1.SlotA, logr.Discard())
	if err != nil {
		return err
	}
	if err := slotA.driver.Idle(ctx); err != nil {
		return err
	}
	elsewhere, err := slotA.driver.Elsewhere(ctx)
	if err != nil {
		return err
	}
	if elsewhere && !elects(objs) {
		// What is installed doesn't ask for the lease: two would work at once.
		if err := slotA.driver.Evict(ctx); err != nil {
			return err
		}
		a.donef("the agent in slot b is removed")
	}
	for _, obj := range objs {
		action, err := c.applyOwn(ctx, obj, false)
		if err != nil {
			return err
		}
		a.donef("%s %s", kube.RefOf(obj).Subject(), action)
		if obj.GetKind() == crdKind {
			if err := c.waitEstablished(ctx, obj.GetName()); err != nil {
				return err
			}
		}
	}
	if opts.wait {
		a.progressf("waiting for the agent's pods")
		if err := c.waitAgent(ctx); err != nil {
			return err
		}
		a.donef("the agent runs in namespace %s", deploy.Namespace)
	}
	if elsewhere && elects(objs) {
		if !opts.wait {
			a.warnf("the agent in slot b goes on working, with its settings; install without --no-wait to have it replaced by what is installed now")
			return nil
		}
		a.progressf("waiting until the agent in slot b has handed over")
		if err := slotA.driver.Settle(ctx); err != nil {
			return err
		}
		a.donef("the agent in slot b has handed over")
	}
	// What is left of slot b has settings that are pruned now.
	if err := slotA.driver.RemoveOther(ctx); err != nil {
		return err
	}
	return a.pruneInstall(ctx, c, objs)
}

// elects says whether the agent of an installation elects who leads.
func elects(objs []*unstructured.Unstructured) bool {
	return slices.ContainsFunc(objs, func(obj *unstructured.Unstructured) bool {
		value, _, _ := unstructured.NestedString(obj.Object, "data", "LEADER_ELECT")
		return obj.GetKind() == "ConfigMap" && value == "true"
	})
}

// previewInstall says what an install would do to each object.
func (a *App) previewInstall(ctx context.Context, c *cluster, objs []*unstructured.Unstructured) error {
	fresh, err := c.missingNamespace(ctx)
	if err != nil {
		return err
	}
	for _, obj := range objs {
		action := apply.Created
		// The API server can check nothing in a namespace that it doesn't have.
		if !fresh || obj.GetNamespace() == "" {
			if action, err = c.applyOwn(ctx, obj, true); err != nil {
				return err
			}
		}
		a.donef("%s %s (dry run)", kube.RefOf(obj).Subject(), action)
	}
	leftovers, err := c.leftovers(ctx, objs)
	if err != nil {
		return err
	}
	for _, obj := range leftovers {
		a.donef("%s deleted (dry run)", kube.RefOf(obj).Subject())
	}
	return nil
}
