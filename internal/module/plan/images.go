package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/permit"
)

// Images asks registries.
type Images interface {
	// Platforms are those that an image is for, as linux/amd64; none: it doesn't say. The error is ErrNoImage where the registry says that there
	// is no such image, ErrAskedInVain where it doesn't say, or not to us.
	Platforms(ctx context.Context, image string) ([]string, error)
}

var (
	// ErrNoImage says that there is no such image.
	ErrNoImage = errors.New("the registry doesn't have it")
	// ErrAskedInVain says that nobody could find out: no answer, no right to ask.
	ErrAskedInVain = errors.New("the registry doesn't say")
)

// maxImages is how many images of a package are asked for.
const maxImages = 100

// images asks whether the images of the pods are there, for the machines that the cluster has. What a registry doesn't tell is no problem: the
// nodes may have other credentials, or a mirror.
func images(ctx context.Context, d *draft) error {
	if d.Images == nil {
		return nil
	}
	users := map[string]string{}
	var names []string
	add := func(image, object string) {
		if _, known := users[image]; image != "" && !known {
			users[image] = object
			names = append(names, image)
		}
	}
	for _, o := range d.objects {
		pod, err := permit.PodOf(o)
		if err != nil || pod == nil {
			continue
		}
		for _, image := range imagesOf(&pod.Spec) {
			add(image, kube.RefOf(o).Subject())
		}
	}
	for _, image := range d.pkg.Images {
		add(image, "")
	}
	if len(names) == 0 {
		return nil
	}
	if more := len(names) - maxImages; more > 0 {
		d.plan.Unseen = append(d.plan.Unseen, fmt.Sprintf("%d images more: at most %d are asked for", more, maxImages))
		names = names[:maxImages]
	}
	machines, err := d.machines(ctx)
	if err != nil {
		return err
	}
	var (
		mu sync.Mutex
		g  errgroup.Group
	)
	g.SetLimit(d.Concurrency)
	for _, image := range names {
		g.Go(func() error {
			platforms, err := d.Images.Platforms(ctx, image)
			mu.Lock()
			defer mu.Unlock()
			d.image(image, users[image], platforms, machines, err)
			return nil
		})
	}
	return g.Wait()
}

// image judges one image.
func (d *draft) image(image, object string, platforms, machines []string, err error) {
	switch {
	case errors.Is(err, ErrNoImage):
		d.problem(CheckImages, object, "runs the image %s, which its registry doesn't have: push it, or have spec.images of the Module take it from elsewhere", image)
		return
	case err != nil:
		d.plan.Unseen = append(d.plan.Unseen, fmt.Sprintf("image %s: %s", image, err))
		return
	case len(platforms) == 0:
		return
	}
	var missing []string
	for _, m := range machines {
		if !slices.Contains(platforms, m) {
			missing = append(missing, m)
		}
	}
	switch {
	case len(missing) == 0:
	case len(missing) == len(machines):
		d.problem(CheckImages, object, "runs the image %s, which is for %s, and the nodes are %s: ask the package's author for one that is for them",
			image, strings.Join(platforms, ", "), strings.Join(machines, ", "))
	default: // a node selector may keep the pods where they can run
		d.plan.Unseen = append(d.plan.Unseen, fmt.Sprintf("image %s is not for %s, which some nodes are", image, strings.Join(missing, ", ")))
	}
}

// machines are what the nodes are; none: there are no nodes, or nobody may look.
func (d *draft) machines(ctx context.Context) ([]string, error) {
	nodes, err := listOf(ctx, d.survey, d.since, &corev1.NodeList{}, client.Limit(500))
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	var out []string
	for _, n := range nodes.Items {
		if info := n.Status.NodeInfo; info.OperatingSystem != "" && info.Architecture != "" {
			out = append(out, info.OperatingSystem+"/"+info.Architecture)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func imagesOf(pod *corev1.PodSpec) []string {
	var out []string
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		out = append(out, c.Image)
	}
	for _, c := range pod.EphemeralContainers {
		out = append(out, c.Image)
	}
	for _, v := range pod.Volumes {
		if v.Image != nil {
			out = append(out, v.Image.Reference)
		}
	}
	return out
}
