// Package crash kills agents. It holds the test that whatever the moment an
// agent dies at, what is in Git is in the cluster in the end.
package crash
