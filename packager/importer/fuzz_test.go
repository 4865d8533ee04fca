package importer

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"skiff/formats/safetensors"
)

// TestEveryPrefix: a file of a model that is cut anywhere is refused, by name.
func TestEveryPrefix(t *testing.T) {
	base, step := small(t), 1
	if testing.Short() {
		step = 13
	}
	for name, file := range base {
		whole := strings.TrimRight(string(file.Data), " \n")
		for n := 0; n < len(whole); n += step {
			folder := make(fstest.MapFS)
			for other, f := range base {
				folder[other] = f
			}
			folder[name] = &fstest.MapFile{Data: []byte(whole[:n])}
			if _, err := OpenFS(context.Background(), folder, "cut"); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("the first %d of %d bytes of %s: got %v", n, len(whole), name, err)
			}
		}
	}
}

// FuzzConfig: nothing panics, and what is accepted has sane sizes.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(smallConfig))
	for _, seed := range configSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(configName, data)
		if err != nil {
			return
		}
		m := c.model()
		width := "hidden_size"
		if c.arch.width != nil {
			width = c.arch.width(c)
		}
		if c.num(width)%m.Heads != 0 || m.Hidden < 1 || m.Layers < 1 || m.Vocab < 1 || m.Eps <= 0 {
			t.Errorf("accepted %+v", m)
		}
		b := &binder{left: make(map[string]bool), file: new(safetensors.File)}
		if err := b.model(c, m); err == nil {
			t.Error("a model without tensors")
		}
		if most := 200; len(m.Ops) > most {
			t.Errorf("%d operations without a tensor", len(m.Ops))
		}
	})
}

// configSeeds are one configuration of each other architecture.
func configSeeds() []string {
	const sizes = `"vocab_size":9,"max_position_embeddings":8,"hidden_size":8,"intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":2,"hidden_act":"gelu"`
	return []string{
		`{"model_type":"distilbert","dim":8,"hidden_dim":12,"n_layers":1,"n_heads":2,"activation":"relu","vocab_size":9,"max_position_embeddings":8,"tie_weights_":true}`,
		`{"model_type":"xlm-roberta",` + sizes + `,"type_vocab_size":1,"pad_token_id":1,"layer_norm_eps":1e-5}`,
		`{"model_type":"electra",` + sizes + `,"type_vocab_size":2,"embedding_size":4,"architectures":["ElectraForMaskedLM"]}`,
		`{"model_type":"albert",` + sizes + `,"type_vocab_size":2,"embedding_size":4,"num_hidden_groups":2,"inner_group_num":512}`,
		`{"model_type":"mpnet",` + sizes + `,"relative_attention_num_buckets":32}`,
		`{"model_type":"mobilebert",` + sizes + `,"type_vocab_size":2,"embedding_size":4,"intra_bottleneck_size":4,"true_hidden_size":4,"trigram_input":true,
			"use_bottleneck":true,"use_bottleneck_attention":false,"key_query_shared_bottleneck":true,"classifier_activation":false,"normalization_type":"no_norm","num_feedforward_networks":64}`,
		`{"model_type":"deberta-v2",` + sizes + `,"relative_attention":true,"share_att_key":true,"pos_att_type":"p2c|c2p","position_buckets":4,"norm_rel_ebd":"layer_norm","position_biased_input":false}`,
		`{"model_type":"modernbert","vocab_size":9,"max_position_embeddings":8,"hidden_size":8,"intermediate_size":12,"num_hidden_layers":4,"num_attention_heads":2,
			"hidden_activation":"gelu","local_rope_theta":null,"local_attention":4,"architectures":["ModernBertForMaskedLM"]}`,
	}
}

// FuzzModules: nothing panics, and what is accepted has a pooling.
func FuzzModules(f *testing.F) {
	base := small(f)
	f.Add(base["modules.json"].Data, base["1_Pooling/config.json"].Data, base[sentencesName].Data)
	for _, pooling := range []string{
		`{"embedding_dimension":4,"pooling_mode":["cls","mean_sqrt_len_tokens"],"include_prompt":false}`, `{"pooling_mode_lasttoken":true,"pooling_mode_max_tokens":true}`, `{}`,
	} {
		f.Add(base["modules.json"].Data, []byte(pooling), base[sentencesName].Data)
	}
	f.Fuzz(func(t *testing.T, modules, pooling, sentences []byte) {
		p, err := readModules(fsFolder(fstest.MapFS{
			"modules.json":          {Data: modules},
			"1_Pooling/config.json": {Data: pooling},
			sentencesName:           {Data: sentences},
		}, "m"))
		if err == nil && (!p.present || p.pool == nil) {
			t.Errorf("accepted %+v", p)
		}
	})
}
