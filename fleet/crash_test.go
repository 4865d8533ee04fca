package fleet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"testing"

	"skiff/fleet/api"
	"skiff/formats/sign"
)

const childEnv = "SKIFF_FLEET_TEST_DATA"

// TestMain runs a server instead of the tests when a test asks for one to kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

func child(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := Serve(ctx, Config{DataDir: dir, Ready: func(mqtt, http string) {
		json.NewEncoder(os.Stdout).Encode(map[string]string{"mqtt": mqtt, "http": http})
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a server in a process of its own.
type process struct {
	*api.Client
	cmd  *exec.Cmd
	mqtt string
	http string
}

func spawn(t *testing.T, dir string) process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	must(t, err)
	var urls struct{ MQTT, HTTP string }
	must(t, json.Unmarshal(line, &urls))
	c, err := api.NewClient(urls.HTTP)
	must(t, err)
	return process{c, cmd, urls.MQTT, urls.HTTP}
}

// kill is the end without any warning.
func (p process) kill(t *testing.T) {
	t.Helper()
	must(t, p.cmd.Process.Kill())
	p.cmd.Wait() // reports the kill
}

// TestKillDuringUpload kills a server while a body comes in, and while its objects are
// written: no half bundle is ever visible, nothing is left over, the next try works.
func TestKillDuringUpload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, file := makeBundle(t, "1.0.0", 100, nil)
	p := spawn(t, dir)

	body, feed := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, p.http+"/v1/bundles", body)
	must(t, err)
	req.ContentLength = int64(len(file))
	answered := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req)
		answered <- err
	}()
	_, err = feed.Write(file[:len(file)/2])
	must(t, err)
	p.kill(t)
	feed.CloseWithError(io.ErrClosedPipe)
	if receive(t, answered) == nil {
		t.Error("the upload to a killed server was answered")
	}

	p = spawn(t, dir)
	none(t, p, dir)
	go func() {
		_, err := p.AddBundleFile(context.Background(), path)
		answered <- err
	}()
	eventually(t, "objects are written", func() bool { return written(dir) > len(file)/4 })
	p.kill(t)
	lost := receive(t, answered) != nil

	p = spawn(t, dir)
	if lost { // else the upload was quicker than the kill, and must be there
		none(t, p, dir)
	}
	f := fleet{Client: p.Client}
	f.trust, err = sign.LoadTrust(filepath.Join(dir, publicName))
	must(t, err)
	f.push(t, path)
	p.kill(t) // what was answered is on disk

	p = spawn(t, dir)
	d := newDevice(t, p.mqtt, "cam-1", "stable")
	d.hello("stable")
	same(t, d.fetch(d.await(f.trust, 1)), file)
	must(t, p.cmd.Process.Signal(os.Interrupt))
	must(t, p.cmd.Wait())
}

// none checks that no bundle is listed and no part of an upload is left.
func none(t *testing.T, p process, dir string) {
	t.Helper()
	bundles, err := p.Bundles(t.Context())
	must(t, err)
	if len(bundles) != 0 {
		t.Errorf("half a bundle is listed: %+v", bundles)
	}
	left, err := os.ReadDir(filepath.Join(dir, uploadFolder))
	must(t, err)
	if len(left) != 0 {
		t.Errorf("%d files left of killed uploads", len(left))
	}
}

// written is the size of the object stream's files in bytes.
func written(dir string) int {
	var n int64
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && bytes.Contains([]byte(path), []byte("KV_objects")) {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil // files come and go
	})
	return int(n)
}
