package labtest

import (
	"context"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// AwaitRights waits until a user may do all of this: the API server learns of roles and of bindings by watches, a moment after they are written.
// A service account is the user system:serviceaccount:NAMESPACE:NAME.
func (e *Env) AwaitRights(t testing.TB, user string, all ...authorizationv1.ResourceAttributes) {
	t.Helper()
	reviews := e.Clientset(t).AuthorizationV1().SubjectAccessReviews()
	groups := []string{"system:authenticated"}
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		namespace, _, _ := strings.Cut(account, ":")
		groups = append(groups, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	}
	for _, one := range all {
		var said authorizationv1.SubjectAccessReviewStatus
		err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, served, true, func(ctx context.Context) (bool, error) {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: &one}}
			answer, err := reviews.Create(ctx, review, metav1.CreateOptions{})
			if err != nil {
				return false, err
			}
			said = answer.Status
			return said.Allowed, nil
		})
		if err != nil {
			t.Fatalf("%s isn't allowed to %+v: %+v, %v", user, one, said, err)
		}
	}
}
