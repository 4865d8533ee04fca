package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxToken is the longest token that is read from a file, in bytes.
const maxToken = 4096

// FromEnv reads a Config from the variables that all tools of the hub share:
// HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_TOKEN (else the file
// HF_TOKEN_PATH, else token in HF_HOME), and the older names of some of them.
// getenv is os.Getenv outside of tests.
func FromEnv(getenv func(string) string) (Config, error) {
	c := Config{
		Endpoint: getenv("HF_ENDPOINT"),
		Offline:  isTrue(first(getenv, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
	}
	var err error
	if c.Cache, err = defaultCache(getenv); err != nil {
		return c, err
	}
	c.Token, err = token(getenv)
	return c, err
}

// first is the first of some variables that is set.
func first(getenv func(string) string, names ...string) string {
	for _, name := range names {
		if v := getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// isTrue reads a switch as huggingface_hub does.
func isTrue(v string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(v))
}

// defaultCache is the folder of the cache.
func defaultCache(getenv func(string) string) (string, error) {
	if dir := first(getenv, "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"); dir != "" {
		return expand(dir, getenv)
	}
	home, err := hubHome(getenv)
	return filepath.Join(home, "hub"), err
}

// hubHome is the folder of everything that these tools keep.
func hubHome(getenv func(string) string) (string, error) {
	if dir := getenv("HF_HOME"); dir != "" {
		return expand(dir, getenv)
	}
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "huggingface"), nil
	}
	return expand("~/.cache/huggingface", getenv)
}

// expand replaces a leading ~ and the variables of a path.
func expand(path string, getenv func(string) string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find cache: %w (set HF_HOME)", err)
		}
		path = home + path[1:]
	}
	return filepath.FromSlash(os.Expand(path, getenv)), nil
}

// token is the user's token, or "".
func token(getenv func(string) string) (string, error) {
	if isTrue(getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return "", nil
	}
	if t := strings.TrimSpace(first(getenv, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")); t != "" {
		return t, checkToken("HF_TOKEN", t)
	}
	path := getenv("HF_TOKEN_PATH")
	if path == "" {
		home, err := hubHome(getenv)
		if err != nil {
			return "", err
		}
		path = filepath.Join(home, "token")
	}
	path, err := expand(path, getenv)
	if err != nil {
		return "", err
	}
	return tokenFile(path)
}

// tokenFile reads the token that a login left; "" where there is no such file.
func tokenFile(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	t := strings.TrimSpace(string(text))
	return t, checkToken(path, t)
}

// checkToken refuses what would not be one header line, without repeating it.
func checkToken(where, t string) error {
	bad := strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' })
	if bad || len(t) > maxToken {
		return fmt.Errorf("read token: %s is not one word of ASCII", where)
	}
	return nil
}
