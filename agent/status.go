package agent

import (
	"skiff/agent/core"
	"skiff/agent/store"
	"skiff/formats/bundle"
)

// status is the JSON of /healthz and /v1/status.
type status struct {
	Status   string        `json:"status"` // "ok" when a model answers, "starting" before
	Device   string        `json:"device"`
	Channel  string        `json:"channel"`
	Slot     string        `json:"slot"`
	State    string        `json:"state"` // of the slot: "idle", "fetching", ...
	Active   string        `json:"active,omitempty"`
	Previous string        `json:"previous,omitempty"`
	Name     string        `json:"name,omitempty"`
	Version  string        `json:"version,omitempty"`
	Release  uint64        `json:"release,omitempty"`
	Kernels  string        `json:"kernels,omitempty"`
	Wanted   string        `json:"wanted,omitempty"`
	Online   bool          `json:"online"`
	Class    string        `json:"class,omitempty"` // of the last thing that did not happen, and why
	Reason   string        `json:"reason,omitempty"`
	Done     uint64        `json:"done"` // encoded bytes of the wanted bundle's chunks held
	Total    uint64        `json:"total"`
	Fetched  store.Fetched `json:"fetched"`
}

// publish makes the state visible to the local API.
func (a *agent) publish() {
	s, st := &a.state, &a.state.Stored
	v := &status{
		Device: s.ID.Device, Channel: s.ID.Channel, Slot: s.ID.Slot, State: st.Phase.String(),
		Active: hex(st.Active), Previous: hex(st.Previous), Kernels: s.Kernels, Online: s.Link.Online,
		Class: st.Class.String(), Reason: st.Reason, Done: s.Transfer.Done, Total: s.Transfer.Total,
	}
	if w := s.Wish().Bundle; w != (bundle.Digest{}) {
		v.Wanted = w.String()
	}
	if st.Active != nil {
		v.Name, v.Version, v.Release = st.Active.Name, st.Active.Version, st.Active.Release
	}
	v.Fetched, _ = a.store.Fetched() // zero when it cannot be read: nothing depends on it
	a.snapshot.Store(v)
}

func hex(h *core.Held) string {
	if h == nil {
		return ""
	}
	return h.Digest.String()
}

// status is called by the local API from any goroutine.
func (a *agent) status(loaded bool) any {
	v := status{State: "idle", Device: a.config.ID, Channel: a.config.Channel, Slot: a.config.Slot}
	if s := a.snapshot.Load(); s != nil {
		v = *s
	}
	v.Status = "starting"
	if loaded {
		v.Status = "ok"
	}
	return v
}
