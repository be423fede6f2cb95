// A worker in Java: turns text to upper case. Debian: libpostgresql-jdbc-java. docs/workers.md explains it.
import java.io.IOException;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;

public class Worker {
    /** Yours. params.seconds stands for its time. It is interrupted when the job is cancelled or no longer ours. */
    static byte[] work(byte[] text, String seconds) throws Exception {
        if (text.length == 0) throw new Exception("There is no text.");
        if (seconds != null) Thread.sleep((long) (Double.parseDouble(seconds) * 1000));
        for (int i = 0; i < text.length; i++) if (text[i] >= 'a' && text[i] <= 'z') text[i] -= 32;
        return text;
    }

    static final ExecutorService workers = Executors.newCachedThreadPool();
    static Connection db;
    static Socket redis;
    static volatile boolean stop;

    static String env(String name) { return System.getenv().getOrDefault(name, ""); }

    static ResultSet query(String sql, Object... values) throws SQLException {
        PreparedStatement statement = db.prepareStatement(sql);
        statement.closeOnCompletion();
        for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
        return statement.executeQuery();
    }

    static Object value(String sql, Object... values) throws SQLException {
        try (ResultSet rows = query(sql, values)) {
            rows.next();
            return rows.getObject(1);
        }
    }

    static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    static void send(String command) throws IOException { redis.getOutputStream().write(bytes(command)); }

    static String word(String text) { return "$" + bytes(text).length + "\r\n" + text + "\r\n"; }

    /** For a message that there is work, or a second. */
    static void waitForWork() throws InterruptedException, SQLException {
        if (env("AWAIT_REDIS").isEmpty()) {
            db.unwrap(PGConnection.class).getNotifications(1000);
            return;
        }
        try {
            if (redis == null) {                     // a job may have come before: the caller claims again
                URI address = URI.create(env("AWAIT_REDIS"));
                redis = new Socket(address.getHost(), address.getPort());
                redis.setSoTimeout(1000);
                String auth = env("REDISCLI_AUTH").isEmpty() ? "" : "AUTH default " + env("REDISCLI_AUTH");
                // after HELLO 3 it may PUBLISH as well
                send("HELLO 3 " + auth + "\r\nSUBSCRIBE await:queue:java\r\n");
            } else if (redis.getInputStream().read(new byte[65536]) < 0) {
                redis = null;
            }
        } catch (SocketTimeoutException nothing) {
        } catch (IOException error) {
            redis = null;
            Thread.sleep(1000);
        }
    }

    static void publish(Object id) throws SQLException {
        try (ResultSet hints = query("SELECT channel, message FROM await.hint(?)", id)) {
            while (redis != null && hints.next())
                send("*3\r\n" + word("PUBLISH") + word(hints.getString(1)) + word(hints.getString(2)));
        } catch (IOException error) {
            redis = null;                            // the next wait connects again
        }
    }

    static void run(Object id, String receipt, byte[] payload, String seconds) throws Exception {
        Future<byte[]> work = workers.submit(() -> work(payload, seconds));
        Object ours = null;
        while (ours == null) {
            try {
                byte[] result = work.get(1, TimeUnit.SECONDS);
                ours = value("SELECT await.complete(?, ?, ?, 'text/plain')", id, receipt, result);
            } catch (TimeoutException working) {
                if (!value("SELECT await.heartbeat(?, ?)", id, receipt).equals("ok")) work.cancel(true);
            } catch (ExecutionException | CancellationException error) {
                Throwable why = error.getCause() == null ? error : error.getCause();
                String problem = "jsonb_build_object('title', 'The work failed', 'detail', ?::text)";
                ours = value("SELECT await.fail(?, ?, " + problem + ")", id, receipt, why.getMessage());
            }
        }
        if (!(Boolean) ours) System.err.println(id + ": cancelled, or no longer ours");     // nothing was changed
        publish(id);
    }

    public static void main(String[] arguments) throws Exception {
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {      // SIGTERM: finishes its job, then ends
            stop = true;
            try { main.join(); } catch (InterruptedException impossible) { }
        }));
        String place = "jdbc:postgresql://" + env("PGHOST") + ":" + env("PGPORT") + "/" + env("PGDATABASE");
        place += "?prepareThreshold=0";                      // for poolers
        db = DriverManager.getConnection(place, env("PGUSER"), env("PGPASSWORD"));
        db.createStatement().execute("LISTEN await_work");   // without Redis: heard if the database has await.notify
        if (!env("AWAIT_REDIS").isEmpty()) waitForWork();    // connects before the first job, whose end is to be told
        while (!stop) {
            try (ResultSet job = query("SELECT id, receipt, payload, params->>'seconds' "
                    + "FROM await.claim(ARRAY['java'], 'java', 1, inline => 64 << 20)")) {
                if (job.next()) run(job.getObject(1), job.getString(2), job.getBytes(3), job.getString(4));
                else waitForWork();
            }
        }
        workers.shutdown();
    }
}
