package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Options of a probe.
type Options struct {
	// Namespace of the agent. Required.
	Namespace string
	// Namespaces that the agent takes care of. None: all.
	Namespaces []string
	// Promise is what the agent is installed with.
	Promise Promise
}

// atOnce is how many requests a probe has under way.
const atOnce = 8

// Run tries what there is to try, as cfg says who it is. What can't be tried is a check that failed.
func Run(ctx context.Context, cfg *rest.Config, opts Options) Report {
	var r Report
	now := metav1.Now()
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		r.add(Started, now, "", []string{err.Error()})
		return r
	}
	version, err := clientset.Discovery().ServerVersion()
	if err != nil {
		r.add(Started, now, "", []string{"the API server can't be reached: " + err.Error()})
		return r
	}
	r.add(Started, now, "runs, and reaches an API server "+version.GitVersion, nil)

	asked, lacking, err := permissions(ctx, clientset, opts)
	if err != nil {
		lacking = append(lacking, err.Error())
	}
	r.add(Permissions, now, fmt.Sprintf("may do all %d things that its roles promise", asked), lacking)

	served, problems := definitions(ctx, cfg, opts)
	r.add(Definitions, now, served, problems)
	return r
}

// permissions asks for everything that the roles promise. It returns how many questions that were, and what is denied.
func permissions(ctx context.Context, clientset kubernetes.Interface, opts Options) (asked int, lacking []string, err error) {
	questions := questionsOf(opts.Promise.Own, opts.Namespace)
	everywhere := opts.Namespaces
	if len(everywhere) == 0 {
		everywhere = []string{metav1.NamespaceAll}
	}
	for _, namespace := range everywhere {
		questions = append(questions, questionsOf(opts.Promise.Cluster, namespace)...)
	}
	denied := make([]bool, len(questions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range questions {
		group.Go(func() error {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &questions[i]}}
			answer, err := clientset.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("ask what the service account may do: %w", err)
			}
			denied[i] = !answer.Status.Allowed
			return nil
		})
	}
	err = group.Wait()
	return len(questions), lackingOf(questions, denied), err
}

// questionsOf asks for each thing that rules admit, one by one.
func questionsOf(rules []rbacv1.PolicyRule, namespace string) (all []authorizationv1.ResourceAttributes) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				resource, subresource, _ := strings.Cut(resource, "/")
				for _, name := range names {
					for _, verb := range rule.Verbs {
						all = append(all, authorizationv1.ResourceAttributes{
							Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource, Name: name,
						})
					}
				}
			}
		}
	}
	return all
}

// lackingOf says what was denied, the verbs for one resource together: "list, watch secrets".
func lackingOf(questions []authorizationv1.ResourceAttributes, denied []bool) []string {
	verbs := map[string][]string{}
	var order []string
	for i, q := range questions {
		if !denied[i] {
			continue
		}
		what := q.Resource
		if q.Group != "" {
			what += "." + q.Group
		}
		if q.Subresource != "" {
			what += "/" + q.Subresource
		}
		if q.Name != "" {
			what += fmt.Sprintf(" %q", q.Name)
		}
		if q.Namespace != "" {
			what += " in namespace " + q.Namespace
		}
		if verbs[what] == nil {
			order = append(order, what)
		}
		if !slices.Contains(verbs[what], q.Verb) {
			verbs[what] = append(verbs[what], q.Verb)
		}
	}
	var lacking []string
	for _, what := range order {
		lacking = append(lacking, "may not "+strings.Join(verbs[what], ", ")+" "+what)
	}
	return lacking
}

// definitions lists an object of each kind that is installed. It says which are served, and what is wrong.
func definitions(ctx context.Context, cfg *rest.Config, opts Options) (served string, problems []string) {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return "", []string{err.Error()}
	}
	var known, unknown []string
	for _, kind := range opts.Promise.Kinds {
		namespace := metav1.NamespaceAll
		switch {
		case opts.Promise.inOwn(kind):
			namespace = opts.Namespace
		case len(opts.Namespaces) > 0:
			namespace = opts.Namespaces[0]
		}
		_, err := client.Resource(kind.GroupVersionResource).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: 1})
		switch {
		case apierrors.IsNotFound(err) && !kind.Needed && !defined(ctx, client, kind):
			unknown = append(unknown, kind.Name)
		case apierrors.IsNotFound(err):
			problems = append(problems, fmt.Sprintf("the cluster doesn't serve %s in version %s: apply the definitions of the new version first", kind.Name, kind.Version))
		case err != nil:
			problems = append(problems, fmt.Sprintf("%s can't be listed: %v", kind.Name, err))
		default:
			known = append(known, kind.Name)
		}
	}
	served = fmt.Sprintf("can list the objects of all %d kinds that are installed", len(known))
	if len(unknown) > 0 {
		served += "; not installed: " + strings.Join(unknown, ", ")
	}
	return served, problems
}

// defined says whether a definition is there, whatever versions it has.
func defined(ctx context.Context, client dynamic.Interface, kind Kind) bool {
	definitions := kind.GroupVersionResource
	definitions.Group, definitions.Version, definitions.Resource = "apiextensions.k8s.io", "v1", "customresourcedefinitions"
	_, err := client.Resource(definitions).Get(ctx, kind.Name, metav1.GetOptions{})
	return !apierrors.IsNotFound(err)
}
