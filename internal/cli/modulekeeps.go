package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/attempt"
)

// agentKeeps says why the agent keeps a namespace in which whoever asks sees nothing that isn't the module's: what it may not list counts as
// something, and it may list less than they. Unsure says that they may not ask what it may.
func (c *cluster) agentKeeps(ctx context.Context, clients *kube.Clients, namespace string, going []schema.GroupKind) (keeps, unsure string, err error) {
	cl, err := clients.For(kube.Identity{})
	if err != nil {
		return "", "", err
	}
	kinds, err := attempt.KindsIn(cl)
	if err != nil {
		return "", "", fmt.Errorf("read what can be in namespace %s: %w", namespace, err)
	}
	const named = 3
	var hidden []string
	for _, k := range kinds {
		if slices.Contains(going, k.GroupKind()) {
			continue
		}
		may, err := c.agentMay(ctx, authorizationv1.ResourceAttributes{Verb: "list", Group: k.Resource.Group, Resource: k.Resource.Resource, Namespace: namespace})
		if apierrors.IsForbidden(err) {
			return "", "unless the agent may not list all of that, which you may not ask: allow create on subjectaccessreviews", nil
		}
		if err != nil {
			return "", "", err
		}
		if !may {
			hidden = append(hidden, k.Kind)
		}
	}
	if len(hidden) == 0 {
		return "", "", nil
	}
	text := strings.Join(hidden[:min(len(hidden), named)], ", ")
	if more := len(hidden) - named; more > 0 {
		text += fmt.Sprintf(" and %d other kinds", more)
	}
	return "the agent may not list " + text + ", and so keeps what may have some in it", "", nil
}

// agentMay asks whether the agent's service account may do something.
func (c *cluster) agentMay(ctx context.Context, what authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + deploy.Namespace + ":" + deploy.Agent, ResourceAttributes: &what,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + deploy.Namespace, "system:authenticated"},
	}}
	if err := c.Create(ctx, review); err != nil {
		return false, fmt.Errorf("ask what the agent may do: %w", err)
	}
	return review.Status.Allowed, nil
}
