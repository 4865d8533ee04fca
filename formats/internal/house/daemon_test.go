package house

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestDaemonLinksNoServer: the device daemon carries no packager, no broker and
// no command-line library. go list sees through every dependency.
func TestDaemonLinksNoServer(t *testing.T) {
	h := open(t)
	cmd := exec.Command("go", "list", "-deps", "./agent/cmd/skiffd")
	cmd.Dir = h.Root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	banned := []string{"skiff/packager", "skiff/fleet", "github.com/nats-io", "github.com/spf13/cobra", "github.com/vbauerster/mpb/v8"}
	for p := range strings.Lines(string(out)) {
		p = strings.TrimSpace(p)
		if slices.ContainsFunc(banned, within(p)) {
			t.Errorf("skiffd links %s", p)
		}
	}
}
