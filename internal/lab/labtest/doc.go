// Package labtest gives tests a Kubernetes: a control plane that starts in a few seconds and ends with the test binary, the same
// with simulated nodes, or the lab with a real node.
//
//	func TestMain(m *testing.M) { labtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		env := labtest.ControlPlane(t)
//		env.Define(t, "slipway.dev_*.yaml")
//		c := env.Client(t, v1alpha1.AddToScheme)
//		…
//	}
//
// Everything is started when the first test asks for it, is shared by the tests of one binary, and gives each test a namespace
// of its own. Tests that change what isn't in a namespace (CRDs, cluster roles) choose names of their own.
package labtest
