// A small shop: registers an order at Postern, then takes Postern's events.
//
//	go run shop.go [ORDER FEN]      settings and the way to try it: examples/README.md
//
// Go's library has no database, so what happened is a journal: an event is flushed to the disk
// before it is answered, and read back at the next start. One process at a time. GET /orders shows
// what the shop knows; it is for looking only.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const tolerance, bodyBytesMax = 5 * time.Minute, 1 << 20

type Event struct {
	WebhookID, Type string
	Data            struct {
		Sequence int64
		Order    struct {
			ID    string `json:"merchant_order_id"`
			State string
		}
	}
}

type Order struct {
	State    string `json:"state"`
	Sequence int64  `json:"sequence"`
	Events   int    `json:"events"`
	Ship     bool   `json:"ship"`
}

type shop struct {
	mutex   sync.Mutex
	secret  []byte
	journal *os.File
	seen    map[string]bool
	orders  map[string]Order
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// register is safe to repeat: the same order with the same sum is known already.
func register(order, minor string) {
	body := fmt.Sprintf(`{"merchant_order_id":%q,"expected":{"minor":%s,"currency":"CNY"}}`, order, minor)
	api := setting("POSTERN_API", "http://127.0.0.1:8080")
	request := must(http.NewRequest("POST", api+"/v1/orders", strings.NewReader(body)))
	request.Header.Set("Authorization", "Bearer "+os.Getenv("POSTERN_API_KEY"))
	request.Header.Set("Content-Type", "application/json")
	answer := must((&http.Client{Timeout: 10 * time.Second}).Do(request))
	if answer.StatusCode >= 300 {
		log.Fatalf("registering %s: %s", order, answer.Status)
	}
	fmt.Println("registered", order, answer.StatusCode)
}

// isGenuine is Standard Webhooks: base64 of HMAC-SHA256 over "id.timestamp.body" as received.
func (s *shop) isGenuine(header http.Header, body []byte) bool {
	id, sentAt := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseUint(sentAt, 10, 40)
	if err != nil || id == "" || time.Since(time.Unix(int64(seconds), 0)).Abs() > tolerance {
		return false
	}
	mac := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, sentAt, body)
	mine := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	// While keys are changed there are several signatures; one that verifies is enough.
	for _, theirs := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal(mine, []byte(theirs)) {
			return true
		}
	}
	return false
}

// remember counts an event once, and an older one never wins.
func (s *shop) remember(event Event) {
	s.seen[event.WebhookID] = true
	order := s.orders[event.Data.Order.ID]
	if event.Data.Sequence > order.Sequence {
		order.State, order.Sequence = event.Data.Order.State, event.Data.Sequence
	}
	order.Events++
	// order.paid comes at most once in an order's life, so this is where to fulfil.
	order.Ship = order.Ship || event.Type == "order.paid"
	s.orders[event.Data.Order.ID] = order
}

func (s *shop) readJournal() {
	decoder := json.NewDecoder(s.journal)
	for {
		var event Event
		err := decoder.Decode(&event)
		if err == io.EOF {
			return
		} else if err == io.ErrUnexpectedEOF {
			// Cut off by a crash: this event was never answered, and comes again.
			must(0, s.journal.Truncate(decoder.InputOffset()))
			return
		}
		must(0, err)
		s.remember(event)
	}
}

func (s *shop) take(event Event) {
	if s.seen[event.WebhookID] {
		return
	}
	// After a failed write nobody knows what the journal holds: the next start reads it.
	must(s.journal.Write(append(must(json.Marshal(event)), '\n')))
	must(0, s.journal.Sync())
	s.remember(event)
}

func (s *shop) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, bodyBytesMax))
	s.mutex.Lock()
	defer s.mutex.Unlock()
	event := Event{WebhookID: request.Header.Get("webhook-id")}
	switch {
	case request.Method != "POST":
		json.NewEncoder(response).Encode(s.orders)
	case err != nil || !s.isGenuine(request.Header, body):
		response.WriteHeader(http.StatusUnauthorized)
	case json.Unmarshal(body, &event) != nil:
		response.WriteHeader(http.StatusInternalServerError)
	default:
		s.take(event)
		response.WriteHeader(http.StatusNoContent)
	}
}

func main() {
	secret := must(base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("SHOP_SECRET"), "whsec_")))
	if len(secret) == 0 {
		log.Fatal("set SHOP_SECRET=whsec_...")
	}
	file := must(os.OpenFile(setting("SHOP_DATA", "shop-go.jsonl"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600))
	s := &shop{secret: secret, journal: file, seen: map[string]bool{}, orders: map[string]Order{}}
	s.readJournal()
	if len(os.Args) == 3 {
		register(os.Args[1], os.Args[2])
	}
	server := &http.Server{Addr: "127.0.0.1:" + setting("SHOP_PORT", "9000"), Handler: s,
		ReadTimeout: 10 * time.Second}
	fmt.Println("the shop listens on http://" + server.Addr)
	log.Fatal(server.ListenAndServe())
}
