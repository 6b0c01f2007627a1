// Package e2e tells stories about Slipway and checks that they come true: a
// real agent process, a real API server, a real Git server.
//
//	e2e.Given(t).
//		Repository("shop", e2e.Files{"config.yaml": …}).
//		Kustomization("shop").
//		When().
//		Commit("shop", e2e.Files{"config.yaml": …}).
//		Then().
//		Ready("kustomization/shop").
//		Has("configmap/shop", e2e.Data("colour", "red"))
//
// Each story has a namespace, a set of repositories and a clock of its own;
// the cluster and the agent are shared by the tests of one binary. Nothing
// sleeps: a check watches its object until it is as told, or until the time
// for it is up, and then says what it saw last.
//
// The harness is for behaviour that a user would notice. What one package
// does is that package's tests' business.
package e2e
