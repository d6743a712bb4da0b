<?php
// A small shop: registers an order at Postern, then takes Postern's events.
//
//   php shop.php [ORDER FEN]      settings and the way to try it: examples/README.md
//
// Started so it serves itself with PHP's built-in server; behind PHP-FPM the same file is the
// webhook. GET shows what the shop knows; it is for looking only.
declare(strict_types=1);

const TOLERANCE_SECONDS = 300;
const BODY_BYTES_MAX = 1024 * 1024;

function setting(string $name, string $default = ''): string
{
    $value = getenv($name);
    if (is_string($value) && $value !== '') {
        return $value;
    }
    return $default !== '' ? $default : throw new RuntimeException("set $name");
}

/** Safe to repeat: the same order with the same sum is known already. */
function register(string $order, int $minor): void
{
    $body = json_encode(['merchant_order_id' => $order,
                         'expected' => ['minor' => $minor, 'currency' => 'CNY']]);
    $context = stream_context_create(['http' => [
        'method' => 'POST', 'content' => $body, 'timeout' => 10,
        'header' => ['Authorization: Bearer ' . setting('POSTERN_API_KEY'),
                     'Content-Type: application/json']]]);
    $api = setting('POSTERN_API', 'http://127.0.0.1:8080');
    if (file_get_contents("$api/v1/orders", false, $context) === false) {
        throw new RuntimeException("$order was not registered");
    }
    echo "registered $order\n";
}

/** Standard Webhooks: base64 of HMAC-SHA256 over "id.timestamp.body", of the bytes received. */
function is_genuine(string $body): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $sent_at = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if ($id === '' || !preg_match('/^[0-9]{1,12}$/D', $sent_at)
        || abs(time() - (int) $sent_at) > TOLERANCE_SECONDS) {
        return false;
    }
    $secret = base64_decode(preg_replace('/^whsec_/', '', setting('SHOP_SECRET')), true);
    if ($secret === false || $secret === '') {
        throw new RuntimeException('SHOP_SECRET is whsec_ and base64');
    }
    $mine = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$sent_at.$body", $secret, true));
    // While keys are changed there are several signatures; one that verifies is enough.
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $theirs) {
        if (hash_equals($mine, $theirs)) {
            return true;
        }
    }
    return false;
}

function database(): PDO
{
    $database = new PDO('sqlite:' . setting('SHOP_DATA', 'shop-php.db'), options: [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_TIMEOUT => 10]);
    $database->exec('CREATE TABLE IF NOT EXISTS seen (webhook_id TEXT PRIMARY KEY);
        CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, state TEXT, sequence INTEGER,
                                           events INTEGER DEFAULT 0, ship INTEGER DEFAULT 0)');
    return $database;
}

/** In one database transaction: an event counts once, and an older one never wins. */
function apply(PDO $database, string $webhook_id, array $event): void
{
    $order = $event['data']['order'];
    $order_id = $order['merchant_order_id'];
    $sequence = $event['data']['sequence'];
    $change = function (string $sql, array $values) use ($database): int {
        $statement = $database->prepare($sql);
        $statement->execute($values);
        return $statement->rowCount();
    };
    $database->exec('BEGIN IMMEDIATE');
    if ($change('INSERT OR IGNORE INTO seen VALUES (?)', [$webhook_id]) === 1) {
        $change('INSERT OR IGNORE INTO orders (id, sequence) VALUES (?, 0)', [$order_id]);
        $change('UPDATE orders SET state = ?, sequence = ? WHERE id = ? AND sequence < CAST(? AS INTEGER)',
                [$order['state'], $sequence, $order_id, $sequence]);
        // order.paid comes at most once in an order's life, so this is where to fulfil.
        $change('UPDATE orders SET events = events + 1, ship = ship OR CAST(? AS INTEGER) WHERE id = ?',
                [$event['type'] === 'order.paid' ? 1 : 0, $order_id]);
    }
    $database->exec('COMMIT');
}

if (PHP_SAPI === 'cli') {
    if ($argc === 3) {
        register($argv[1], (int) $argv[2]);
    }
    pcntl_exec(PHP_BINARY, ['-S', '127.0.0.1:' . setting('SHOP_PORT', '9000'), __FILE__]);
} elseif ($_SERVER['REQUEST_METHOD'] === 'POST') {
    http_response_code(500); // what an exception leaves behind: Postern repeats
    $body = (string) file_get_contents('php://input', length: BODY_BYTES_MAX + 1);
    $genuine = strlen($body) <= BODY_BYTES_MAX && is_genuine($body);
    if ($genuine) {
        apply(database(), $_SERVER['HTTP_WEBHOOK_ID'], json_decode($body, true, 32, JSON_THROW_ON_ERROR));
    }
    http_response_code($genuine ? 204 : 401);
} else {
    $orders = [];
    foreach (database()->query('SELECT * FROM orders', PDO::FETCH_ASSOC) as $row) {
        $orders[$row['id']] = ['state' => $row['state'], 'sequence' => (int) $row['sequence'],
                               'events' => (int) $row['events'], 'ship' => (bool) $row['ship']];
    }
    echo json_encode((object) $orders);
}
