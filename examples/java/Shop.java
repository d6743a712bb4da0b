import com.google.gson.Gson;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * A small shop: registers an order at Postern, then takes Postern's events.
 *
 * <p>{@code java -cp gson.jar Shop.java [ORDER FEN]}: settings and the way to try it stand in
 * examples/README.md. Java's library has no database, so what happened is a journal: a line is
 * flushed to the disk before the event is answered, and read back at the next start. One process at
 * a time. GET /orders shows what the shop knows; it is for looking only.
 */
public class Shop {
  static final long TOLERANCE_SECONDS = 300;
  static final int BODY_BYTES_MAX = 1024 * 1024;
  static final Gson JSON = new Gson();

  record Snapshot(String merchant_order_id, String state) {}
  record Data(long sequence, Snapshot order) {}
  record Event(String type, Data data) {}
  record Line(String webhookId, Event event) {}

  static class Order {
    String state;
    long sequence;
    int events;
    boolean ship;
  }

  final byte[] secret = Base64.getDecoder().decode(setting("SHOP_SECRET", "").replaceFirst("^whsec_", ""));
  final Set<String> seen = new HashSet<>();
  final Map<String, Order> orders = new TreeMap<>();
  final FileChannel journal;

  static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }

  /** Safe to repeat: the same order with the same sum is known already. */
  static void register(String order, long minor) throws Exception {
    var body = JSON.toJson(Map.of("merchant_order_id", order,
        "expected", Map.of("minor", minor, "currency", "CNY")));
    var url = setting("POSTERN_API", "http://127.0.0.1:8080") + "/v1/orders";
    var request = HttpRequest.newBuilder(URI.create(url))
        .header("Authorization", "Bearer " + setting("POSTERN_API_KEY", ""))
        .header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(body)).build();
    var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() >= 300) throw new IOException(answer.statusCode() + " " + answer.body());
    System.out.println("registered " + order + ": " + answer.statusCode());
  }

  /** Reads the journal. A line cut off by a crash was never answered: its event comes again. */
  Shop(Path file) throws IOException {
    if (secret.length == 0) throw new IllegalStateException("set SHOP_SECRET=whsec_...");
    journal = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    var kept = Files.readString(file);
    var whole = kept.substring(0, kept.lastIndexOf('\n') + 1);
    whole.lines().map(line -> JSON.fromJson(line, Line.class)).forEach(this::remember);
    journal.truncate(whole.getBytes(StandardCharsets.UTF_8).length);
    journal.position(journal.size());
  }

  /** Standard Webhooks: base64 of HMAC-SHA256 over "id.timestamp.body", of the bytes received. */
  boolean isGenuine(String id, String sentAt, String signatures, byte[] body) throws Exception {
    if (id == null || sentAt == null || signatures == null || !sentAt.matches("[0-9]{1,12}")) return false;
    var age = System.currentTimeMillis() / 1000 - Long.parseLong(sentAt);
    if (Math.abs(age) > TOLERANCE_SECONDS) return false;
    var mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(secret, "HmacSHA256"));
    mac.update((id + "." + sentAt + ".").getBytes(StandardCharsets.ISO_8859_1));
    var mine = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
    // While keys are changed there are several signatures; one that verifies is enough.
    for (var theirs : signatures.split(" ")) {
      if (MessageDigest.isEqual(mine.getBytes(), theirs.getBytes())) return true;
    }
    return false;
  }

  /** An event counts once, and an older one never wins. */
  void remember(Line line) {
    seen.add(line.webhookId());
    var event = line.event();
    var snapshot = event.data().order();
    var order = orders.computeIfAbsent(snapshot.merchant_order_id(), id -> new Order());
    if (event.data().sequence() > order.sequence) {
      order.sequence = event.data().sequence();
      order.state = snapshot.state();
    }
    order.events++;
    // order.paid comes at most once in an order's life, so this is where to fulfil.
    order.ship |= event.type().equals("order.paid");
  }

  synchronized void take(Line line) {
    if (seen.contains(line.webhookId())) return;
    try {
      var bytes = ByteBuffer.wrap((JSON.toJson(line) + "\n").getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) journal.write(bytes);
      journal.force(false);
    } catch (IOException error) {
      // Nobody knows now what the journal holds. The next start reads it, and Postern repeats.
      System.err.println(error);
      Runtime.getRuntime().halt(1);
    }
    remember(line);
  }

  void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      if (!exchange.getRequestMethod().equals("POST")) {
        byte[] text;
        synchronized (this) { text = JSON.toJson(orders).getBytes(StandardCharsets.UTF_8); }
        exchange.sendResponseHeaders(200, text.length);
        exchange.getResponseBody().write(text);
        return;
      }
      var body = exchange.getRequestBody().readNBytes(BODY_BYTES_MAX + 1);
      var headers = exchange.getRequestHeaders();
      var id = headers.getFirst("webhook-id");
      if (body.length > BODY_BYTES_MAX || !isGenuine(id, headers.getFirst("webhook-timestamp"),
          headers.getFirst("webhook-signature"), body)) {
        exchange.sendResponseHeaders(401, -1);
        return;
      }
      take(new Line(id, JSON.fromJson(new String(body, StandardCharsets.UTF_8), Event.class)));
      exchange.sendResponseHeaders(204, -1);
    } catch (Exception error) { // no answer: Postern repeats
      System.err.println(error);
    }
  }

  public static void main(String[] args) throws Exception {
    var shop = new Shop(Path.of(setting("SHOP_DATA", "shop-java.jsonl")));
    if (args.length == 2) register(args[0], Long.parseLong(args[1]));
    var address = new InetSocketAddress("127.0.0.1", Integer.parseInt(setting("SHOP_PORT", "9000")));
    var server = HttpServer.create(address, 0);
    server.createContext("/", shop::answer);
    server.start();
    System.out.println("the shop listens on http:/" + address);
  }
}
