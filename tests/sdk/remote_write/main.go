// A Prometheus of a current version that only receives: its own remote write handler (1.0 and 2.0), its own storage and its own
// query engine, without the service discoveries that make the whole server long to build.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
)

func main() {
	address := flag.String("listen", "127.0.0.1:0", "where to listen")
	data := flag.String("data", "", "folder of the storage")
	flag.Parse()
	if err := run(*address, *data); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, data string) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	registry := prometheus.NewRegistry()
	options := tsdb.DefaultOptions()
	options.EnableExemplarStorage = true
	options.MaxExemplars = 1000
	db, err := tsdb.Open(data, logger, registry, options, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	messages := remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}
	// The start of a counter becomes a sample of zero, so that a query shows it.
	write := remote.NewWriteHandler(logger, registry, db, messages, true, false, false)
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: logger, MaxSamples: 1 << 20, Timeout: 300 * time.Second, Parser: parser.NewParser(parser.Options{}),
	})
	// Requests come at the same time.
	var lock sync.Mutex
	counts := map[string]int{}
	http.HandleFunc("POST /api/v1/write", func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		counts[r.Header.Get("Content-Type")]++
		lock.Unlock()
		write.ServeHTTP(w, r)
	})
	http.HandleFunc("GET /api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		query, err := engine.NewInstantQuery(r.Context(), db, nil, r.URL.Query().Get("query"), time.Now())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		defer query.Close()
		result := query.Exec(r.Context())
		if result.Err != nil {
			http.Error(w, result.Err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, result.Value)
	})
	http.HandleFunc("GET /api/v1/exemplars", func(w http.ResponseWriter, r *http.Request) {
		querier, err := db.ExemplarQuerier(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		name := labels.MustNewMatcher(labels.MatchEqual, "__name__", r.URL.Query().Get("query"))
		found, err := querier.Select(0, time.Now().Add(time.Hour).UnixMilli(), []*labels.Matcher{name})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, found)
	})
	http.HandleFunc("GET /content-types", func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		_ = json.NewEncoder(w).Encode(counts)
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	if err := http.Serve(listener, nil); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"result": value}})
}
