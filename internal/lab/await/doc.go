// Package await waits for objects in a cluster to be as somebody expects them:
// it watches one object until a check is content, and says what was still
// missing when the time is up. Nothing sleeps or polls.
//
// It is for the demo and the end-to-end tests; reconcilers never wait.
package await
