package cli

import (
	"context"
	"errors"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/spf13/cobra"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/build/inputs"
	"github.com/slipway-dev/slipway/internal/kube"
)

var errDifferent = errors.New("there are differences")

func newDiff(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "diff",
		Short: "Show what applying a Kustomization would change in the cluster",
		Long:  `Show what applying a Kustomization would change in the cluster, without changing anything.`,
		Example: `  # What would my working copy do?
  slipway diff kustomization shop --path .

  # What would this branch do, wherever it is delivered?
  slipway diff kustomization --all --branch feature`,
	}, newDiffKustomization(app))
}

func newDiffKustomization(app *App) *cobra.Command {
	var (
		how      diffOptions
		exitCode bool
	)
	cmd := &cobra.Command{
		Use:     "kustomization NAME | --all",
		Aliases: []string{"ks", "kustomizations"},
		Short:   "Show what applying a Kustomization would change in the cluster",
		Long: `Build a Kustomization as the agent would, let the API server say what would become of each object (a dry run), and
show the differences from what is there. Nothing is changed.

Without --path and --branch it builds what the source has fetched: what is shown is drift, or what the agent is about to do.

With --path it builds a working copy. Is that the root of a Git repository, or not in one at all, the folder that
spec.path names is built in it; else the folder itself.

With --branch it builds a branch of the source's repository, before it is merged; with --repo the branch is taken from a
working copy. Where the branch changes the Kustomization itself, and another Kustomization of the same source delivers that
one, it is built as the branch has it.

--all takes every Kustomization of the source that the branch (or the working copy at --path) touches: those that would
read nothing else than before are skipped, those that the branch adds or deletes are told as that.

Values of Secrets aren't shown, only that they differ. The requests are made as the service account that the Kustomization
names, if you may impersonate it, else as you: what that one may not do, such as applying a ClusterRole wider than its own, is told
as an error of that object. The repository is fetched as 'slipway why' does.

It ends with 0 whether there are differences or not, unless --exit-code is given; with --branch or --all it ends with 1 when
there are, unless --exit-code=false is. An object that can't be applied ends it with 1 in any case.`,
		Example: `  # Before pushing
  slipway diff kustomization shop --path .

  # In a pipeline: 1 when something would change
  slipway diff ks shop --path . --exit-code

  # Before merging: what would this branch do?
  slipway diff ks shop --branch bigger-boxes

  # All that a branch of a working copy touches, as a comment for the pull request
  slipway diff ks --all --branch bigger-boxes --repo . -o markdown > comment.md`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeOne(app, kustomizationKind()),
	}
	flags := cmd.Flags()
	flags.StringVar(&how.path, "path", "", "working copy to build, instead of what the source has fetched")
	flags.StringVar(&how.branch, "branch", "", "branch of the source's repository to build, instead of what the source has fetched")
	flags.StringVar(&how.repo, "repo", "", "working copy to take --branch from, instead of the source's URL")
	flags.BoolVar(&how.all, "all", false, "every Kustomization of the source that is touched")
	flags.StringVar(&how.source, "source", "", "with --all: the GitRepository meant, where the namespace's Kustomizations have several")
	flags.BoolVar(&how.asMe, "as-me", false, "make the requests as you, not as the Kustomization's service account")
	flags.BoolVar(&exitCode, "exit-code", false, "end with 1 when there are differences, as 'git diff' does")
	cmd.MarkFlagsMutuallyExclusive("path", "branch")
	out := addOutputFlag(cmd, "text", formatMarkdown, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := how.check(args); err != nil {
			return err
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		name := ""
		if len(args) == 1 {
			name = args[0]
		}
		found, err := app.diff(cmd.Context(), c, name, how)
		if err != nil {
			return err
		}
		if err := app.writeDiff(out.value, found, how); err != nil {
			return err
		}
		if !cmd.Flags().Changed("exit-code") {
			exitCode = how.proposed()
		}
		return verdictOn(found, exitCode)
	}
	return cmd
}

// diffOptions are the flags of diff.
type diffOptions struct {
	path, branch, repo, source string
	all, asMe                  bool
}

// proposed reports whether what is built is a proposal to several people, not the state of one working copy.
func (o diffOptions) proposed() bool { return o.branch != "" || o.all }

func (o diffOptions) check(args []string) error {
	switch {
	case o.all && len(args) > 0:
		return usagef("--all takes no name")
	case !o.all && len(args) == 0:
		return usagef("name is missing: give the Kustomization's name, or --all")
	case o.all && o.branch == "" && o.path == "":
		return usagef("--all compares a branch or a working copy with the cluster: give --branch or --path")
	case o.repo != "" && o.branch == "":
		return usagef("--repo says where --branch is: give --branch, or --path for the files as they are in a working copy")
	case o.source != "" && !o.all:
		return usagef("--source is for --all; a Kustomization says itself which source it has")
	}
	return nil
}

// verdictOn is the end of a diff: an object that can't be applied is a failure, a difference is one if that was asked for.
func verdictOn(found []kustomizationDiff, exitCode bool) error {
	different := false
	for _, ks := range found {
		if ks.Error != "" {
			return quietError{fmt.Errorf("%s: %s", ks.Kustomization, ks.Error)}
		}
		for _, d := range ks.Objects {
			if d.Error != "" {
				return quietError{fmt.Errorf("%s %s", d.Object, d.Error)}
			}
			different = different || d.changes()
		}
	}
	if different && exitCode {
		return quietError{errDifferent}
	}
	return nil
}

// diff compares what one Kustomization would deliver with the cluster, or what all of a source would.
func (a *App) diff(ctx context.Context, c *cluster, name string, how diffOptions) ([]kustomizationDiff, error) {
	if how.proposed() {
		p, err := a.propose(ctx, c, name, how)
		if err != nil {
			return nil, err
		}
		defer p.close()
		return p.diff(ctx)
	}
	obj, err := c.get(ctx, kustomizationKind(), c.namespace, name)
	if err != nil {
		return nil, err
	}
	ks := obj.(*kustomizev1.Kustomization)
	files, err := a.filesFor(ctx, c, ks, how.path)
	if err != nil {
		return nil, err
	}
	defer files.close()
	found, _, err := a.diffOne(ctx, c, ks, files, how.asMe)
	if err != nil {
		return nil, err
	}
	return []kustomizationDiff{found}, nil
}

// diffOne builds a Kustomization from files and compares.
func (a *App) diffOne(ctx context.Context, c *cluster, ks *kustomizev1.Kustomization, from files, asMe bool) (kustomizationDiff, *build.Result, error) {
	found := kustomizationDiff{Kustomization: ks.Namespace + "/" + ks.Name, Path: from.path, Revision: from.revision}
	read, err := inputs.Read(ctx, c, ks)
	if err != nil {
		return found, nil, err
	}
	built, err := build.New().Build(ctx, read.For(build.TreeOf(from.fs), from.path, ks.Spec))
	if err != nil {
		return found, nil, fmt.Errorf("build Kustomization %q: %w", ks.Name, err)
	}
	as, err := c.asAccountOf(ctx, ks, asMe)
	if err != nil {
		return found, nil, err
	}
	found.As = as.String()
	if found.Objects, err = a.compare(ctx, c, ks, built.Objects, as); err != nil {
		return found, nil, err
	}
	hidden := read.Mask.With(built.Decrypted)
	for i := range found.Objects {
		found.Objects[i].Diff = hidden.Hide(found.Objects[i].Diff)
		found.Objects[i].Error = hidden.Hide(found.Objects[i].Error)
	}
	return found, built, nil
}

// asAccountOf is the service account that a Kustomization names, if the person may act as it; else nobody, which is the person.
func (c *cluster) asAccountOf(ctx context.Context, ks *kustomizev1.Kustomization, asMe bool) (kube.Identity, error) {
	account := kube.Identity{Namespace: ks.Namespace, ServiceAccount: ks.Spec.ServiceAccountName}
	if asMe || account.ServiceAccount == "" {
		return kube.Identity{}, nil
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: account.Namespace, Name: account.ServiceAccount, Verb: "impersonate", Resource: "serviceaccounts",
		},
	}}
	if err := c.Create(ctx, review); err != nil {
		return kube.Identity{}, fmt.Errorf("ask whether you may act as service account %s: %w", account, err)
	}
	if !review.Status.Allowed {
		return kube.Identity{}, nil
	}
	return account, nil
}
